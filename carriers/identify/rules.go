package identify

import (
	"regexp"
	"slices"
	"sync"

	"github.com/milepost-gateway/milepost/parcel"
)

// rule is one form of one carrier.
type rule struct {
	carrier string
	// form matches the whole normalised number.
	form *regexp.Regexp
	// variant tells apart several forms of one carrier; may be empty.
	variant string
	// confidence if the check digit is right, or if there is none.
	confidence float64
	check      func(string) bool
	needs      []string
}

func (r *rule) id() string {
	if r.variant == "" {
		return "pattern." + r.carrier
	}
	return "pattern." + r.carrier + "." + r.variant
}

// rules lists the forms. Those with letters of their own are close to certain;
// those of bare digits share their lengths with others, and a check digit that
// fits proves a little: one number in ten has it by chance.
var rules = sync.OnceValue(func() []rule {
	f := func(form string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + form + `)$`) }
	phone, postcode := []string{NeedPhone}, []string{NeedPostcode}
	return []rule{
		{carrier: "ups", form: f(`1Z[0-9A-Z]{15}[0-9]`), confidence: 0.99, check: checkUPS},
		{carrier: "ups", variant: "waybill", form: f(`[THJKF][0-9]{10}`), confidence: 0.45},
		{carrier: "ups", variant: "info-notice", form: f(`[0-9]{9}`), confidence: 0.1},
		{carrier: "ups", variant: "mail-innovations", form: f(`MI[0-9]{6}[0-9A-Z]{1,22}`), confidence: 0.8},
		{carrier: "ups", variant: "postal", form: f(`(?:420[0-9]{5})?927[0-9]{19}`), confidence: 0.3, check: lastDigits(22, checkGS1)},

		{carrier: "fedex", variant: "express", form: f(`[0-9]{12}`), confidence: 0.7, check: checkFedExExpress},
		{carrier: "fedex", variant: "ground", form: f(`[0-9]{15}`), confidence: 0.7, check: checkGS1},
		{carrier: "fedex", variant: "ground-20", form: f(`[0-9]{20}`), confidence: 0.25, check: checkGS1},
		{carrier: "fedex", variant: "ground-96", form: f(`96[0-9]{20}`), confidence: 0.9, check: lastDigits(15, checkGS1)},
		{carrier: "fedex", variant: "postal", form: f(`(?:420[0-9]{5})?92612[0-9]{17}`), confidence: 0.4, check: lastDigits(22, checkGS1)},
		{carrier: "fedex", variant: "express-34", form: f(`1[0-9]{33}`), confidence: 0.5},

		{carrier: "usps", variant: "impb", form: f(`9[1-5][0-9]{20}`), confidence: 0.9, check: checkGS1},
		{carrier: "usps", variant: "impb-26", form: f(`9[1-5][0-9]{24}`), confidence: 0.8, check: checkGS1},
		{carrier: "usps", variant: "impb-zip", form: f(`420(?:[0-9]{5}|[0-9]{9})9[1-5][0-9]{20}`), confidence: 0.95, check: lastDigits(22, checkGS1)},
		{carrier: "usps", variant: "20", form: f(`(?:7[0-9]|0[1-9]|[1-3][0-9]|91)[0-9]{18}`), confidence: 0.55, check: checkGS1},

		{carrier: "dhl-unified", variant: "express", form: f(`[0-9]{10}`), confidence: 0.65, check: checkMod7},
		{carrier: "dhl-unified", variant: "express-piece", form: f(`JJ?D[0-9]{16,20}`), confidence: 0.9},
		{carrier: "dhl-unified", variant: "freight", form: f(`JVGL[0-9]{10,20}`), confidence: 0.95},
		{carrier: "dhl-unified", variant: "parcel-de", form: f(`00340434[0-9]{12}`), confidence: 0.98, check: checkGS1, needs: postcode},
		{carrier: "dhl-unified", variant: "sscc", form: f(`00[0-9]{18}`), confidence: 0.4, check: checkGS1, needs: postcode},
		{carrier: "dhl-unified", variant: "ident", form: f(`[0-9]{12}`), confidence: 0.15},
		{carrier: "dhl-unified", variant: "ecommerce", form: f(`GM[0-9]{16,20}`), confidence: 0.95},
		{carrier: "dhl-unified", variant: "ecommerce-asia", form: f(`GM[0-9A-Z]{10,15}`), confidence: 0.6},
		{carrier: "dhl-unified", variant: "parcel-nl", form: f(`3S[0-9A-Z]{10,22}`), confidence: 0.4, needs: postcode},

		{carrier: "russian-post", variant: "domestic", form: f(`[1-6][0-9]{13}`), confidence: 0.75, check: checkGS1},
		{carrier: "china-post", variant: "domestic", form: f(`(?:1[0-3]|9[6-9])[0-9]{11}`), confidence: 0.25},
		{carrier: "cainiao", form: f(`LP[0-9]{14}`), confidence: 0.98},
		{carrier: "cainiao", variant: "order", form: f(`(?:CAINIAO|CNG|CNBR|AE)[0-9]{11,18}`), confidence: 0.9},
		{carrier: "sf-express", form: f(`SF[0-9]{13}`), confidence: 0.98, needs: phone},
		{carrier: "sf-express", variant: "long", form: f(`SF[0-9]{12,16}`), confidence: 0.8, needs: phone},
		{carrier: "sf-express", variant: "digits", form: f(`[0-9]{12}`), confidence: 0.2, needs: phone},
		{carrier: "fourpx", form: f(`4PX[0-9]{16}CN`), confidence: 0.99},
		{carrier: "fourpx", variant: "other", form: f(`4PX[0-9]{10,18}[A-Z]{0,2}`), confidence: 0.9},
		{carrier: "yunexpress", form: f(`YT[0-9]{16}`), confidence: 0.98},
		{carrier: "yto", form: f(`YT[0-9]{13}`), confidence: 0.95},
		{carrier: "jt-express", form: f(`JT[0-9]{13}`), confidence: 0.9},
		{carrier: "jd-logistics", form: f(`JD[A-Z]{1,3}[0-9]{8,15}`), confidence: 0.85},
		{carrier: "zto", form: f(`7[3-9][0-9]{12}`), confidence: 0.35},
		{carrier: "yanwen", form: f(`[A-Z]{2}[0-9]{9}YP`), confidence: 0.9},
		{carrier: "yanwen", variant: "order", form: f(`YW[0-9A-Z]{9,18}`), confidence: 0.75},
		{carrier: "sunyou", form: f(`SY[A-Z]{2,3}[0-9]{8,11}`), confidence: 0.9},
		{carrier: "sunyou", variant: "digits", form: f(`SY[0-9]{10,12}`), confidence: 0.8},

		{carrier: "dpd-sftp", form: f(`0[0-9]{13}`), confidence: 0.7},
		{carrier: "dpd-sftp", variant: "other-depot", form: f(`[1-9][0-9]{13}`), confidence: 0.3},
		{carrier: "dpd-sftp", variant: "label", form: f(`[0-9]{14}[0-9A-Z]`), confidence: 0.6, check: checkDPD},
		{carrier: "gls", form: f(`[0-9]{11}`), confidence: 0.35, needs: postcode},
		{carrier: "gls", variant: "track-id", form: f(`[YZ][0-9A-Z]{7}`), confidence: 0.4, needs: postcode},
		{carrier: "inpost", form: f(`[5-6][0-9]{23}`), confidence: 0.9},
		{carrier: "bpost", form: f(`32[0-9]{22}`), confidence: 0.7},
		{carrier: "postnl", form: f(`3S[0-9A-Z]{10,15}`), confidence: 0.6, needs: postcode},
		{carrier: "swiss-post", form: f(`99[0-9]{16}`), confidence: 0.85},
		{carrier: "la-poste", variant: "colissimo", form: f(`[0-9][A-Z][0-9]{11}`), confidence: 0.8},
		{carrier: "yodel", form: f(`JD[0-9]{16}`), confidence: 0.7},
		{carrier: "parcelforce", form: f(`P[A-Z][0-9]{7}(?:00[0-9])?`), confidence: 0.6},
		{carrier: "tnt", form: f(`G[DE][0-9]{9}WW`), confidence: 0.95},
		{carrier: "cdek", form: f(`1[0-9]{9}`), confidence: 0.5},

		{carrier: "australia-post", variant: "article", form: f(`(?:33)?[A-Z]{2,5}[0-9A-Z]{0,2}[0-9]{16,20}`), confidence: 0.6},
		{carrier: "australia-post", variant: "article-digit-first", form: f(`[0-9][A-Z]{2}[0-9]{13}`), confidence: 0.5},
		{carrier: "australia-post", variant: "article-digits", form: f(`99[0-9]{19,21}`), confidence: 0.3},

		{carrier: "amazon", form: f(`TB[ACM][0-9]{12}`), confidence: 0.99},
		{carrier: "ontrac", form: f(`[CD][0-9]{14}`), confidence: 0.85},
		{carrier: "lasership", form: f(`1LS[0-9]{10,16}`), confidence: 0.97},
		{carrier: "lasership", variant: "short", form: f(`L[A-Z][0-9]{8}`), confidence: 0.75},
		{carrier: "purolator", form: f(`[A-Z]{3}[0-9]{9}`), confidence: 0.7},
		{carrier: "purolator", variant: "digits", form: f(`33[0-9]{10}`), confidence: 0.4},
		{carrier: "canpar", form: f(`D[0-9]{21}`), confidence: 0.95},
		{carrier: "canada-post", form: f(`[0-9]{16}`), confidence: 0.6},
	}
})

// posts names the designated operator of a country or territory, by the UPU's
// list of designated operators. Where one operator serves several territories
// they share its code; a country that is missing has none that is listed, and
// its items are the network's.
var posts = sync.OnceValue(func() map[parcel.Country]string {
	return map[parcel.Country]string{
		"AD": "correos", "AE": "emirates-post", "AF": "afghan-post", "AL": "posta-shqiptare", "AM": "haypost", "AO": "correios-de-angola",
		"AR": "correo-argentino", "AT": "austrian-post", "AU": "australia-post", "AW": "post-aruba", "AX": "aland-post", "AZ": "azerpost",
		"BA": "bh-posta", "BB": "barbados-postal-service", "BD": "bangladesh-post", "BE": "bpost", "BF": "la-poste-burkina-faso", "BG": "bulgarian-posts",
		"BH": "bahrain-post", "BJ": "la-poste-benin", "BM": "bermuda-post", "BN": "brunei-post", "BO": "correos-de-bolivia", "BR": "correios",
		"BS": "bahamas-post", "BT": "bhutan-post", "BW": "botswana-post", "BY": "belpost", "BZ": "belize-post", "CA": "canada-post",
		"CH": "swiss-post", "CI": "la-poste-cote-d-ivoire", "CL": "correos-chile", "CM": "campost", "CN": "china-post", "CO": "4-72",
		"CR": "correos-de-costa-rica", "CU": "correos-de-cuba", "CV": "correios-de-cabo-verde", "CW": "cpost", "CY": "cyprus-post", "CZ": "czech-post",
		"DE": "dhl-unified", "DJ": "la-poste-djibouti", "DK": "postnord-denmark", "DO": "inposdom", "DZ": "algerie-poste",
		"EC": "correos-del-ecuador", "EE": "omniva", "EG": "egypt-post", "ER": "eritrea-post", "ES": "correos", "ET": "ethiopost",
		"FI": "posti", "FJ": "post-fiji", "FO": "posta-faroe", "FR": "la-poste", "GA": "la-poste-gabon", "GB": "royal-mail",
		"GE": "georgian-post", "GF": "la-poste", "GG": "guernsey-post", "GH": "ghana-post", "GI": "gibraltar-post", "GL": "tusass",
		"GM": "gampost", "GP": "la-poste", "GR": "elta", "GT": "correos-de-guatemala", "GY": "guyana-post", "HK": "hongkong-post",
		"HN": "honducor", "HR": "croatian-post", "HU": "magyar-posta", "ID": "pos-indonesia", "IE": "an-post", "IL": "israel-post",
		"IM": "isle-of-man-post", "IN": "india-post", "IQ": "iraqi-post", "IR": "iran-post", "IS": "postur", "IT": "poste-italiane",
		"JE": "jersey-post", "JM": "jamaica-post", "JO": "jordan-post", "JP": "japan-post", "KE": "posta-kenya", "KG": "kyrgyz-post",
		"KH": "cambodia-post", "KR": "korea-post", "KW": "kuwait-post", "KY": "cayman-islands-post", "KZ": "kazpost", "LA": "laos-post",
		"LB": "libanpost", "LI": "liechtensteinische-post", "LK": "sri-lanka-post", "LS": "lesotho-post", "LT": "lithuania-post",
		"LU": "post-luxembourg", "LV": "latvia-post", "LY": "libya-post", "MA": "poste-maroc", "MC": "la-poste", "MD": "posta-moldovei",
		"ME": "posta-crne-gore", "MG": "paositra-malagasy", "MK": "posta-makedonija", "ML": "la-poste-mali", "MM": "myanma-post", "MN": "mongol-post",
		"MO": "macao-post", "MQ": "la-poste", "MR": "mauripost", "MT": "maltapost", "MU": "mauritius-post", "MV": "maldives-post",
		"MW": "malawi-post", "MX": "correos-de-mexico", "MY": "pos-malaysia", "MZ": "correios-de-mocambique", "NA": "nampost", "NC": "opt-nc",
		"NE": "niger-poste", "NG": "nipost", "NI": "correos-de-nicaragua", "NL": "postnl", "NO": "posten-norge", "NP": "nepal-post",
		"NZ": "nz-post", "OM": "oman-post", "PA": "correos-de-panama", "PE": "serpost", "PF": "opt-pf", "PG": "post-png",
		"PH": "phlpost", "PK": "pakistan-post", "PL": "poczta-polska", "PM": "la-poste", "PR": "usps", "PS": "palestine-post",
		"PT": "ctt", "PY": "correo-paraguayo", "QA": "qatar-post", "RE": "la-poste", "RO": "posta-romana", "RS": "posta-srbije",
		"RU": "russian-post", "RW": "iposita", "SA": "saudi-post", "SB": "solomon-post", "SC": "seychelles-post", "SD": "sudapost",
		"SE": "postnord-sweden", "SG": "singapore-post", "SI": "posta-slovenije", "SK": "slovak-post", "SL": "salpost", "SM": "poste-san-marino",
		"SN": "la-poste-senegal", "SR": "surpost", "SV": "correos-de-el-salvador", "SY": "syrian-post", "TG": "la-poste-togo", "TH": "thailand-post",
		"TJ": "tajik-post", "TM": "turkmenpost", "TN": "la-poste-tunisienne", "TO": "tonga-post", "TR": "ptt", "TT": "ttpost",
		"TW": "chunghwa-post", "TZ": "posta-tanzania", "UA": "ukrposhta", "UG": "posta-uganda", "US": "usps", "UY": "correo-uruguayo",
		"UZ": "uzbekistan-post", "VA": "poste-vaticane", "VE": "ipostel", "VI": "usps", "VN": "vietnam-post", "VU": "vanuatu-post",
		"WS": "samoa-post", "YE": "yemen-post", "YT": "la-poste", "ZA": "sa-post-office", "ZM": "zampost", "ZW": "zimpost",
		"BI": "rnp-burundi", "CD": "scpt-congo", "CF": "poste-centrafrique", "CG": "sopeco", "DM": "dominica-post", "GD": "grenada-post",
		"GN": "poste-guinee", "GQ": "correos-guinea-ecuatorial", "GW": "correios-da-guine-bissau", "HT": "poste-haiti", "KI": "kiribati-post",
		"KM": "snpsf-comores", "KN": "st-kitts-post", "LC": "saint-lucia-post", "LR": "liberia-post", "NR": "nauru-post", "SO": "somali-post",
		"SS": "south-sudan-post", "ST": "correios-sao-tome", "SZ": "eswatini-post", "TD": "poste-tchad", "TL": "correios-de-timor-leste",
		"TV": "tuvalu-post", "VC": "st-vincent-post", "AG": "antigua-post", "WF": "opt-wf", "GU": "usps", "AS": "usps", "MP": "usps",
	}
})

// homes are the countries of carriers that serve few: where a parcel comes from
// or goes to ranks them. Posts are at home where they are the designated
// operator. The others are at home everywhere.
var homes = sync.OnceValue(func() map[string][]parcel.Country {
	out := map[string][]parcel.Country{
		"amazon": {"US", "CA", "GB", "DE", "FR", "IT", "ES", "IN", "JP", "MX", "AU", "PL", "NL", "SE", "BE"},
		"canpar": {"CA"}, "cdek": {"RU", "BY", "KZ", "AM", "KG", "UZ", "CN"}, "dpd-sftp": {"DE", "AT", "BE", "CH", "CZ", "EE", "ES", "FR", "GB", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "NL", "PL", "PT", "RO", "SI", "SK"},
		"gls":    {"DE", "AT", "BE", "CZ", "DK", "ES", "FI", "FR", "HR", "HU", "IE", "IT", "LU", "NL", "PL", "PT", "RO", "RS", "SI", "SK", "US", "CA"},
		"inpost": {"PL", "GB", "IT", "FR", "ES", "PT", "BE", "LU", "NL"}, "jd-logistics": {"CN"}, "jt-express": {"CN", "ID", "MY", "TH", "VN", "PH", "SG", "KH", "BR", "MX", "SA", "AE", "EG"},
		"lasership": {"US"}, "ontrac": {"US"}, "parcelforce": {"GB"}, "purolator": {"CA"}, "sunyou": {"CN"}, "yanwen": {"CN"},
		"yodel": {"GB"}, "yto": {"CN"}, "yunexpress": {"CN"}, "zto": {"CN"}, "fourpx": {"CN"}, "cainiao": {"CN"},
	}
	for country, post := range posts() {
		if post != "dhl-unified" { // the post of Germany, and at home everywhere as an express carrier
			out[post] = append(out[post], country)
		}
	}
	for post := range out {
		slices.Sort(out[post])
		out[post] = slices.Compact(out[post])
	}
	return out
})

// titles has the names that a code does not spell by itself.
var titles = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"4-72": "4-72", "amazon": "Amazon Logistics", "an-post": "An Post", "bpost": "bpost", "cainiao": "Cainiao",
		"cdek": "CDEK", "china-post": "China Post / EMS", "correios": "Correios", "correos": "Correos", "ctt": "CTT",
		"dhl-unified": "DHL", "dpd-sftp": "DPD", "elta": "ELTA", "fedex": "FedEx", "fourpx": "4PX", "gls": "GLS",
		"inpost": "InPost", "jd-logistics": "JD Logistics", "jt-express": "J&T Express", "la-poste": "La Poste",
		"lasership": "LaserShip", "magyar-posta": "Magyar Posta", "nz-post": "NZ Post", "ontrac": "OnTrac",
		"phlpost": "PHLPost", "postnl": "PostNL", "ptt": "PTT", "sa-post-office": "South African Post Office",
		"sf-express": "SF Express", "sunyou": "SunYou", "tnt": "TNT", "ups": "UPS", "upu-postal": "UPU postal network",
		"usps": "USPS", "yto": "YTO Express", "yunexpress": "YunExpress", "zto": "ZTO Express",
		"correos-de-mexico": "Correos de México", "posta-romana": "Poșta Română",
	}
})

// title is the name of a carrier for people: its code in capitals where no
// better one is known.
func title(carrier string) string {
	if t, ok := titles()[carrier]; ok {
		return t
	}
	b := []byte(carrier)
	up := true
	for i, c := range b {
		switch {
		case c == '-':
			b[i], up = ' ', true
		case up:
			if c >= 'a' && c <= 'z' {
				b[i] = c - 'a' + 'A'
			}
			up = false
		}
	}
	return string(b)
}
