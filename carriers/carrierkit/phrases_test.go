package carrierkit

import (
	"testing"
)

const phraseTable = `# version: 2026-11-22
code,event,reason,delivered_to,retracts,doc
DE,DELIVERY_ATTEMPT_FAILED,,,,the code alone
DE: refused,REFUSED,REFUSED,,,refused
text: not delivered,DELIVERY_ATTEMPT_FAILED,,,,not delivered
text: delivered & pick up point,READY_FOR_PICKUP,,,,at a point
text: delivered,DELIVERED,,,,delivered
text: dut,CUSTOMS_DUTY_DUE,,,,duties
text: Выдано,DELIVERED,,,,handed out
`

func TestPhrases(t *testing.T) {
	table, err := ParseTable(phraseTable)
	if err != nil {
		t.Fatal(err)
	}
	p := NewPhrases(table)
	for _, tc := range []struct{ name, key, sentence, want string }{
		{"word", "text", "Delivered", "text: delivered"},
		{"inside a sentence, other case and spaces", "text", "The parcel was  DELIVERED\tto the recipient", "text: delivered"},
		{"first row wins", "text", "Could not be delivered? It is not delivered yet", "text: not delivered"},
		{"all words, in any order", "text", "At the pick up point: delivered", "text: delivered & pick up point"},
		{"not inside a word", "text", "Undelivered", ""},
		{"inside a word and later as one", "text", "undelivered, then delivered", "text: delivered"},
		{"beginning of a word", "text", "Unpaid duties", "text: dut"},
		{"another alphabet", "text", "ПОСЫЛКА ВЫДАНО", "text: Выдано"},
		{"another key", "DE", "Refused by recipient", "DE: refused"},
		{"no such key", "SE", "Refused by recipient", ""},
		{"a code is no phrase", "DE", "DE", ""},
		{"nothing said", "text", " ", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			row, ok := p.Lookup(tc.key, tc.sentence)
			if row.Rule != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %t, want %q", row.Rule, ok, tc.want)
			}
		})
	}
	if _, ok := (Phrases{}).Lookup("text", "delivered"); ok {
		t.Error("the zero value reads something")
	}
}

func FuzzPhrases(f *testing.F) {
	table, err := ParseTable(phraseTable)
	if err != nil {
		f.Fatal(err)
	}
	p := NewPhrases(table)
	f.Add("text", "not delivered")
	f.Add("DE", "\xff refused")
	f.Fuzz(func(t *testing.T, key, sentence string) {
		if row, ok := p.Lookup(key, sentence); ok && row.Rule == "" {
			t.Errorf("%q %q: a row without a rule", key, sentence)
		}
	})
}
