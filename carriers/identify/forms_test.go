package identify

import (
	"testing"

	"github.com/milepost-gateway/milepost/parcel"
)

// TestEveryFormHasANumber: each form of each carrier is met by a number of its
// shape, and the carrier is among its candidates, alone or not.
func TestEveryFormHasANumber(t *testing.T) {
	numbers := map[string]string{
		"ups": "1Z4X7E926844102758", "ups.waybill": "H1234567890", "ups.info-notice": "123456789", "ups.mail-innovations": "MI123456A1B2C3", "ups.postal": "9274890000000000000003",
		"fedex.express": "395017288464", "fedex.ground": "987654312345672", "fedex.ground-20": "00340434981200544177", "fedex.ground-96": "9611020987654312345672",
		"fedex.postal": "9261290100130435082879", "fedex.express-34": "1001901781990001000300617767839437",
		"usps.impb": "9400111202555842332669", "usps.impb-26": "92001902400000042188710000", "usps.impb-zip": "420221539101026837331000039521", "usps.20": "70160910000108310009",
		"dhl-unified.express": "3318810025", "dhl-unified.express-piece": "JJD000390007827467129", "dhl-unified.freight": "JVGL0612345678", "dhl-unified.parcel-de": "00340434981200544177",
		"dhl-unified.sscc": "00340434981200544177", "dhl-unified.ident": "395017288464", "dhl-unified.ecommerce": "GM605112270084510370", "dhl-unified.ecommerce-asia": "GMA1234567890", "dhl-unified.parcel-nl": "3SABCD1234567890",
		"russian-post.domestic": "62001488012349", "cainiao": "LP00612345678901", "cainiao.order": "CAINIAO0012345678901",
		"sf-express": "SF1390027164455", "sf-express.long": "SF139002716445512", "sf-express.digits": "395017288464",
		"fourpx": "4PX3001872640915123CN", "fourpx.other": "4PX3001872640915CN", "yunexpress": "YT2629300700188234", "yto": "YT1234567890123",
		"jt-express": "JT1234567890123", "jd-logistics": "JDVA12345678901", "zto": "75312345678901", "yanwen": "UE518204475YP", "yanwen.order": "YW123456789CN",
		"sunyou": "SYAE123456789", "sunyou.digits": "SY1234567890", "dpd-sftp": "05308801554410", "dpd-sftp.other-depot": "62001488012341", "dpd-sftp.label": "053088015544107",
		"gls": "12345678901", "gls.track-id": "Z1A2B3C4", "inpost": "520000012680041086770098", "bpost": "323211234567890123456789", "postnl": "3SABCD1234567890",
		"swiss-post": "996012345612345678", "la-poste.colissimo": "6A12345678901", "yodel": "JD0002212345678901", "parcelforce": "PB1234567001", "tnt": "GE123456789WW",
		"cdek": "1106789345", "australia-post.article": "ABC123456789012345678", "australia-post.article-digit-first": "7XX1000634011427", "china-post.domestic": "9801234567890", "australia-post.article-digits": "997123456789012345678",
		"amazon": "TBA123456789012", "ontrac": "C10999911320231", "lasership": "1LS7119013455", "lasership.short": "LX12345678",
		"purolator": "ABC123456789", "purolator.digits": "335123456789", "canpar": "D420352470000000002017", "canada-post": "7035114477138472",
	}
	for _, r := range rules() {
		name := r.carrier
		if r.variant != "" {
			name += "." + r.variant
		}
		t.Run(name, func(t *testing.T) {
			number, ok := numbers[name]
			if !ok {
				t.Fatal("no number of this form")
			}
			if !r.form.MatchString(number) {
				t.Fatalf("%s has another form", number)
			}
			for _, c := range Identify(number) {
				if c.Carrier == r.carrier {
					return
				}
			}
			t.Errorf("%s: %+v", number, Identify(number))
		})
	}
}

// TestEveryPostIsACountry: each post belongs to a country of ISO 3166-1, and an
// item of each is the post's first, then the network's.
func TestEveryPostIsACountry(t *testing.T) {
	if n := len(posts()); n < 192 {
		t.Errorf("%d posts, and the UPU has 192 members", n)
	}
	for country, post := range posts() {
		if !country.Valid() {
			t.Errorf("%s: %q is no country", post, country)
			continue
		}
		c := Identify("RB518204475" + string(country))
		if len(c) < 2 || c[0].Carrier != post || c[0].Country != country || c[1].Carrier != NetworkOfPosts {
			t.Errorf("%s: %+v", country, c)
		}
	}
	if c := Identify("RB518204475AQ"); len(c) != 1 || c[0].Carrier != NetworkOfPosts {
		t.Errorf("a country without a post: %+v", c)
	}
}

func TestTheWayRanks(t *testing.T) {
	for _, tt := range []struct {
		name, number  string
		way           Context
		first, second string
		fit           Fit
	}{
		{"no way", "395017288464", Context{}, "fedex", "sf-express", ""},
		{"a postal item's other end", "RB518204475CN", Context{Origin: "CN", Destination: "RU"}, "china-post", "upu-postal", FitOrigin},
		{"Canada, to Canada", "7035114477138472", Context{Origin: "CN", Destination: "CA"}, "canada-post", "", FitDestination},
		{"Canada, elsewhere", "7035114477138472", Context{Origin: "CN", Destination: "BR"}, "canada-post", "", FitNeither},
		{"one end known, the other may be it", "7035114477138472", Context{Origin: "CN"}, "canada-post", "", ""},
		{"CDEK to Russia", "1106789345", Context{Origin: "CN", Destination: "RU"}, "cdek", "dhl-unified", FitDestination},
		{"ten digits to Brazil", "3318810025", Context{Origin: "DE", Destination: "BR"}, "dhl-unified", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := IdentifyFor(tt.number, tt.way)
			if got[0].Carrier != tt.first || got[0].Fit != tt.fit || tt.second != "" && got[1].Carrier != tt.second {
				t.Errorf("%+v", got)
			}
		})
	}
	at := func(c []Candidate, carrier string) bool {
		for _, x := range c {
			if x.Carrier == carrier && x.Rule == "s10.destination" && x.Fit == FitDestination {
				return true
			}
		}
		return false
	}
	if c := IdentifyFor("RB518204475CN", Context{Destination: "RU"}); !at(c, "russian-post") {
		t.Errorf("the post of the destination is missing: %+v", c)
	}
	if PostOf("BR") != "correios" || PostOf(parcel.Country("AQ")) != "" {
		t.Errorf("posts %q %q", PostOf("BR"), PostOf("AQ"))
	}
}
