package parcel

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseImpc(t *testing.T) {
	for _, tc := range []struct {
		code string
		want Place
	}{
		{"CNCANA", Place{Country: "CN", City: "Guangzhou", Facility: "CNCANA", Unlocode: "CNCAN", TimeZone: "Asia/Shanghai"}},
		{"cnshaa", Place{Country: "CN", City: "Shanghai", Facility: "CNSHAA", Unlocode: "CNSHA", TimeZone: "Asia/Shanghai"}},
		{"USCHIA", Place{Country: "US", City: "Chicago", Facility: "USCHIA", Unlocode: "USCHI", TimeZone: "America/Chicago"}},
		{"USJFKA", Place{Country: "US", City: "New York", Facility: "USJFKA", Unlocode: "USJFK", TimeZone: "America/New_York"}},
		{"USLAXA", Place{Country: "US", City: "Los Angeles", Facility: "USLAXA", Unlocode: "USLAX", TimeZone: "America/Los_Angeles"}},
		{"USMIAA", Place{Country: "US", City: "Miami", Facility: "USMIAA", Unlocode: "USMIA", TimeZone: "America/New_York"}},
		{"USSFOA", Place{Country: "US", City: "San Francisco", Facility: "USSFOA", Unlocode: "USSFO", TimeZone: "America/Los_Angeles"}},
		{"RUVKOA", Place{Country: "RU", City: "Moscow", Facility: "RUVKOA", Unlocode: "RUVKO", TimeZone: "Europe/Moscow"}},
		{"RUSVXA", Place{Country: "RU", City: "Yekaterinburg", Facility: "RUSVXA", Unlocode: "RUSVX", TimeZone: "Asia/Yekaterinburg"}},
		{"BRCWBA", Place{Country: "BR", City: "Curitiba", Facility: "BRCWBA", Unlocode: "BRCWB", TimeZone: "America/Sao_Paulo"}},
		{"CAYTOA", Place{Country: "CA", City: "Toronto", Facility: "CAYTOA", Unlocode: "CATOR", TimeZone: "America/Toronto"}},
		{"PLQQQA", Place{Country: "PL", Facility: "PLQQQA", TimeZone: "Europe/Warsaw"}},
		{"RUQQQA", Place{Country: "RU", Facility: "RUQQQA"}},
	} {
		t.Run(tc.code, func(t *testing.T) {
			got, ok := ParseImpc(tc.code)
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, code := range []string{"", "CNCAN", "CNCANAA", "ZZCANA", "CN-ANA", "60616", "620014", "SHENZHEN", "MOSCOW", "BERLIN", "MADRID", "ALMATY", "Harbin", "ÇNCAN"} {
		if got, ok := ParseImpc(code); ok {
			t.Errorf("ParseImpc(%q) = %+v; want none", code, got)
		}
	}
}

func TestParseUnlocode(t *testing.T) {
	for _, tc := range []struct {
		code string
		want Place
	}{
		{"CNSZX", Place{Country: "CN", City: "Shenzhen", Unlocode: "CNSZX", TimeZone: "Asia/Shanghai"}},
		{"CN SZX", Place{Country: "CN", City: "Shenzhen", Unlocode: "CNSZX", TimeZone: "Asia/Shanghai"}},
		{"brsao", Place{Country: "BR", City: "São Paulo", Unlocode: "BRSAO", TimeZone: "America/Sao_Paulo"}},
		{"DEFRA", Place{Country: "DE", City: "Frankfurt am Main", Unlocode: "DEFRA", TimeZone: "Europe/Berlin"}},
		{"DEQQQ", Place{Country: "DE", Unlocode: "DEQQQ", TimeZone: "Europe/Berlin"}},
		{"BRQQQ", Place{Country: "BR", Unlocode: "BRQQQ"}},
	} {
		t.Run(tc.code, func(t *testing.T) {
			got, ok := ParseUnlocode(tc.code)
			if !ok {
				t.Fatal("not read")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, code := range []string{"", "CNCANA", "ZZSZX", "PARIS", "Perth", "12345", "CN  SZX"} {
		if got, ok := ParseUnlocode(code); ok {
			t.Errorf("ParseUnlocode(%q) = %+v; want none", code, got)
		}
	}
}

func TestLocodeTable(t *testing.T) {
	rows := locodeTable().rows
	if len(rows) < 250 {
		t.Errorf("%d locations", len(rows))
	}
	for code, row := range rows {
		if !Country(code[:2]).Valid() || row.city == "" || len(row.unlocode) != 5 || row.unlocode[:2] != code[:2] {
			t.Errorf("%s: %+v", code, row)
		}
		if to, ok := rows[row.unlocode]; !ok || to.unlocode != row.unlocode || to.zone != row.zone {
			t.Errorf("%s leads to %s, which the table lacks or which leads elsewhere", code, row.unlocode)
		}
	}
}
