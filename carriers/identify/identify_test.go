package identify_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/parcel"
)

// TestIdentify names the likeliest carriers of numbers in the wild forms that
// people paste.
func TestIdentify(t *testing.T) {
	for _, tt := range []struct {
		number string
		// want are the first candidates with their rule; more may follow.
		want string
		// check is "right", "wrong" or "" for none, of the first.
		check string
	}{
		// Postal items: the post of issue, then the network of posts.
		{"LZ741203656CN", "china-post s10.country, upu-postal s10.network", "right"},
		{"lz 741 203 656 cn", "china-post s10.country, upu-postal s10.network", "right"},
		{"LZ741203657CN", "china-post s10.country, upu-postal s10.network", "wrong"},
		{"RB518204475RU", "russian-post s10.country, upu-postal s10.network", "right"},
		{"RB518204475BR", "correios s10.country, upu-postal s10.network", "right"},
		{"RB518204475US", "usps s10.country, upu-postal s10.network", "right"},
		{"RB518204475FR", "la-poste s10.country, upu-postal s10.network", "right"},
		{"RB518204475GB", "royal-mail s10.country, upu-postal s10.network", "right"},
		{"RB518204475DE", "dhl-unified s10.country, upu-postal s10.network", "right"},
		{"RB518204475AQ", "upu-postal s10.network", "right"},
		{"UA518204475CN", "china-post s10.country, upu-postal s10.network", "right"},
		{"UE518204475YP", "yanwen pattern.yanwen", ""},
		{"GE123456789WW", "tnt pattern.tnt", ""},

		{"1Z4X7E926844102758", "ups pattern.ups", "right"},
		{"1z 4x7 e92 68 4410 2758", "ups pattern.ups", "right"},
		{"1Z4X7E926844102759", "ups pattern.ups", "wrong"},
		{"395017288464", "fedex pattern.fedex.express, sf-express pattern.sf-express.digits, dhl-unified pattern.dhl-unified.ident", "right"},
		{"395017288465", "fedex pattern.fedex.express, sf-express pattern.sf-express.digits", "wrong"},
		{"987654312345672", "fedex pattern.fedex.ground", "right"},
		{"9611020987654312345672", "fedex pattern.fedex.ground-96", "right"},

		// One form, several carriers behind it: USPS carries them all.
		{"9200190240000004218871", "usps pattern.usps.impb", "right"},
		{"9400111202555842332669", "usps pattern.usps.impb", "right"},
		{"420221539101026837331000039521", "usps pattern.usps.impb-zip", "right"},
		{"9274890000000000000003", "usps pattern.usps.impb, ups pattern.ups.postal", "right"},
		{"9261290100130435082879", "usps pattern.usps.impb, fedex pattern.fedex.postal", "right"},
		{"70160910000108310009", "usps pattern.usps.20, fedex pattern.fedex.ground-20", "right"},

		{"00340434981200544177", "dhl-unified pattern.dhl-unified.parcel-de, fedex pattern.fedex.ground-20", "right"},
		{"JJD000390007827467129", "dhl-unified pattern.dhl-unified.express-piece", ""},
		{"3318810025", "dhl-unified pattern.dhl-unified.express", "right"},
		{"3318810026", "dhl-unified pattern.dhl-unified.express", "wrong"},
		{"1106789345", "cdek pattern.cdek, dhl-unified pattern.dhl-unified.express", ""},
		{"GM605112270084510370", "dhl-unified pattern.dhl-unified.ecommerce", ""},
		{"3SABCD1234567890", "postnl pattern.postnl, dhl-unified pattern.dhl-unified.parcel-nl", ""},

		{"LP00612345678901", "cainiao pattern.cainiao", ""},
		{"CAINIAO0012345678901", "cainiao pattern.cainiao.order", ""},
		{"SF1390027164455", "sf-express pattern.sf-express", ""},
		{"4PX3001872640915CN", "fourpx pattern.fourpx.other", ""},
		{"4PX3001872640915123CN", "fourpx pattern.fourpx", ""},
		{"YT2629300700188234", "yunexpress pattern.yunexpress", ""},
		{"YT1234567890123", "yto pattern.yto", ""},
		{"SYAE123456789", "sunyou pattern.sunyou", ""},
		{"JT1234567890123", "jt-express pattern.jt-express", ""},
		{"JDVA12345678901", "jd-logistics pattern.jd-logistics", ""},

		{"05308801554410", "dpd-sftp pattern.dpd-sftp", ""},
		{"62001488012349", "russian-post pattern.russian-post.domestic, dpd-sftp pattern.dpd-sftp.other-depot", "right"},
		{"62001488012341", "dpd-sftp pattern.dpd-sftp.other-depot, russian-post pattern.russian-post.domestic", ""},
		{"6A12345678901", "la-poste pattern.la-poste.colissimo", ""},
		{"ABC123456789012345678", "australia-post pattern.australia-post.article", ""},
		{"12345678901", "gls pattern.gls", ""},
		{"520000012680041086770098", "inpost pattern.inpost", ""},
		{"996012345612345678", "swiss-post pattern.swiss-post", ""},
		{"TBA123456789012", "amazon pattern.amazon", ""},
		{"C10999911320231", "ontrac pattern.ontrac", ""},
		{"1LS7119013455", "lasership pattern.lasership", ""},
		{"1LS717793482164-1", "lasership pattern.lasership", ""},
		{"LX12345678", "lasership pattern.lasership.short", ""},
		{"ABC123456789", "purolator pattern.purolator", ""},
		{"D420352470000000002017", "canpar pattern.canpar", ""},
		{"7035114477138472", "canada-post pattern.canada-post", ""},

		{"", "", ""},
		{"HELLO", "", ""},
		{strings.Repeat("1", 65), "", ""},
		{"LZ741203656ZZ", "", ""},
	} {
		t.Run(tt.number, func(t *testing.T) {
			got := identify.Identify(tt.number)
			var told []string
			for _, c := range got {
				told = append(told, c.Carrier+" "+c.Rule)
			}
			if all := strings.Join(told, ", "); !strings.HasPrefix(all, tt.want) || (tt.want == "") != (all == "") {
				t.Errorf("got  %s\nwant %s", all, tt.want)
			}
			check := ""
			if len(got) > 0 && got[0].CheckValid != nil {
				check = map[bool]string{true: "right", false: "wrong"}[*got[0].CheckValid]
			}
			if check != tt.check {
				t.Errorf("check digit %q, want %q", check, tt.check)
			}
		})
	}
}

func TestNeeds(t *testing.T) {
	for number, want := range map[string][]string{
		"SF1390027164455":      {identify.NeedPhone},
		"00340434981200544177": {identify.NeedPostcode},
		"LP00612345678901":     nil,
	} {
		if diff := cmp.Diff(want, identify.Identify(number)[0].Needs); diff != "" {
			t.Errorf("%s: %s", number, diff)
		}
	}
}

func TestTitles(t *testing.T) {
	for number, want := range map[string]string{
		"LZ741203656CN": "China Post / EMS", "RB518204475GB": "Royal Mail", "1Z4X7E926844102758": "UPS", "RB518204475RU": "Russian Post",
	} {
		if got := identify.Identify(number)[0].Title; got != want {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
}

func TestCallersMayWriteToWhatTheyGet(t *testing.T) {
	identify.Identify("SF1390027164455")[0].Needs[0] = "x"
	if got := identify.Identify("SF1390027164455")[0].Needs[0]; got != identify.NeedPhone {
		t.Errorf("got %q", got)
	}
}

func TestHints(t *testing.T) {
	for _, tt := range []struct {
		name, number string
		want         []identify.Hint
	}{
		{"nothing wrong", "LZ741203656CN", nil},
		{"letter for digit", "LZ74I2O3656CN", []identify.Hint{{Kind: identify.HintLookAlike, Suggestion: "LZ741203656CN", Carrier: "china-post"}}},
		{"letter I in UPS", "IZ4X7E926844102758", []identify.Hint{{Kind: identify.HintLookAlike, Suggestion: "1Z4X7E926844102758", Carrier: "ups"}}},
		{"Cyrillic", "RВ518204475СN", []identify.Hint{{Kind: identify.HintLookAlike, Suggestion: "RB518204475CN", Carrier: "china-post"}}},
		{"two digits exchanged", "LZ742103656CN", []identify.Hint{{Kind: identify.HintCheckDigit, Carrier: "china-post"}}},
		{"letter O where letters may stand", "1Z4X7E9268441O2758", []identify.Hint{{Kind: identify.HintLookAlike, Suggestion: "1Z4X7E926844102758", Carrier: "ups"}, {Kind: identify.HintCheckDigit, Carrier: "ups"}}},
		{"wrong digit", "1Z4X7E926844102759", []identify.Hint{{Kind: identify.HintCheckDigit, Carrier: "ups"}}},
		{"postal, a digit short", "LZ74120365CN", []identify.Hint{{Kind: identify.HintLength, Carrier: "china-post"}}},
		{"postal, a digit long", "LZ7412036567CN", []identify.Hint{{Kind: identify.HintLength, Carrier: "china-post"}}},
		{"UPS, short", "1Z4X7E92684410", []identify.Hint{{Kind: identify.HintLength, Carrier: "ups"}}},
		{"YunExpress, short", "YT26293007001882", []identify.Hint{{Kind: identify.HintLength, Carrier: "yunexpress"}}},
		{"few digits", "12345", []identify.Hint{{Kind: identify.HintLength}}},
		{"endless", strings.Repeat("A", 70), []identify.Hint{{Kind: identify.HintLength}}},
		{"empty", " - ", []identify.Hint{{Kind: identify.HintLength}}},
		{"no form", "HELLO-WORLD", []identify.Hint{{Kind: identify.HintPattern}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, identify.Hints(tt.number)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzIdentify(f *testing.F) {
	for _, seed := range []string{"LZ741203656CN", "1Z4X7E926844102758", "395017288464", "05308801554410", "00340434981200544177", "HELLO", "RВ518204475СN"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, number string) {
		found := identify.Identify(number)
		if diff := cmp.Diff(found, identify.Identify(parcel.NormalizeNumber(number))); diff != "" {
			t.Errorf("normalised, another answer: %s", diff)
		}
		carriers := map[string]bool{}
		for i, c := range found {
			if c.Carrier == "" || c.Title == "" || c.Rule == "" || c.Confidence <= 0 || c.Confidence > 1 || carriers[c.Carrier] {
				t.Errorf("%q: %+v", number, c)
			}
			if i > 0 && c.Confidence > found[i-1].Confidence {
				t.Errorf("%q: not ranked", number)
			}
			carriers[c.Carrier] = true
		}
		hints := identify.Hints(number)
		if len(found) == 0 && len(hints) == 0 {
			t.Errorf("%q: neither candidate nor hint", number)
		}
		for _, h := range hints {
			if h.Suggestion != "" && h.Suggestion == parcel.NormalizeNumber(number) {
				t.Errorf("%q: suggests itself", number)
			}
		}
	})
}

func BenchmarkIdentify(b *testing.B) {
	for b.Loop() {
		identify.Identify("9200190240000004218871")
	}
}
