package view

import (
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// Capability is what an adapter can do.
type Capability string

// The capabilities.
const (
	CanPull        Capability = "PULL"
	CanBatch       Capability = "BATCH"
	CanWebhook     Capability = "WEBHOOK"
	CanFile        Capability = "FILE"
	CanNextCarrier Capability = "NEXT_CARRIER"
)

// ServiceClass is a kind of service.
type ServiceClass string

// The classes.
const (
	ClassPostal            ServiceClass = "POSTAL"
	ClassDedicatedLine     ServiceClass = "DEDICATED_LINE"
	ClassExpress           ServiceClass = "EXPRESS"
	ClassOverseasWarehouse ServiceClass = "OVERSEAS_WAREHOUSE"
	ClassDomestic          ServiceClass = "DOMESTIC"
)

// Carrier is a carrier that this deployment has an adapter for.
type Carrier struct {
	Code, Name string
	// Home is the carrier's country; empty if it has none.
	Home         parcel.Country
	Stages       []parcel.Stage
	Capabilities []Capability
	Products     []Product
	// Page is the address of its tracking page, with {number}; empty if none.
	Page string
}

// Product is a service level that a carrier sells.
type Product struct {
	Code, Name   string
	ServiceClass ServiceClass
	// Days that the carrier states; 0 if none.
	Days int
	// DeliveryObservable is false for services without a delivery scan.
	DeliveryObservable bool
}

// StatedDays are the days that the carrier states.
func (p Product) StatedDays() (int, bool) { return number(p.Days) }

// IsNode marks it.
func (*Carrier) IsNode() {}

// ID is the global id.
func (c *Carrier) ID() string { return graph.MakeID(graph.TypeCarrier, c.Code) }

// Country is the carrier's home.
func (c *Carrier) Country() (parcel.Country, bool) { return c.Home, c.Home != "" }

// ServiceLevels are its products.
func (c *Carrier) ServiceLevels(first *int) []Product { return head(c.Products, first, DefaultPage) }

// TrackingPage is the carrier's own page for a number.
func (c *Carrier) TrackingPage(number string) (string, bool) {
	return strings.ReplaceAll(c.Page, "{number}", url.QueryEscape(number)), c.Page != ""
}

// Directory is the carriers that this deployment has adapters for. It is safe
// for concurrent use; what it has given out does not change.
type Directory struct {
	now atomic.Pointer[listing]
}

// listing is the carriers at one moment; it does not change.
type listing struct {
	byCode map[string]*Carrier
	list   []*Carrier
}

// NewDirectory makes a directory, by code.
func NewDirectory(carriers []Carrier) *Directory {
	d := &Directory{}
	d.Replace(carriers)
	return d
}

// Replace puts other carriers in.
func (d *Directory) Replace(carriers []Carrier) {
	l := &listing{byCode: make(map[string]*Carrier, len(carriers))}
	for i := range carriers {
		c := carriers[i]
		if c.Stages == nil {
			c.Stages = []parcel.Stage{}
		}
		if c.Capabilities == nil {
			c.Capabilities = []Capability{}
		}
		l.byCode[c.Code] = &c
		l.list = append(l.list, &c)
	}
	slices.SortFunc(l.list, func(a, b *Carrier) int { return strings.Compare(a.Code, b.Code) })
	d.now.Store(l)
}

// Get finds a carrier by code.
func (d *Directory) Get(code string) (*Carrier, bool) {
	c, ok := d.now.Load().byCode[code]
	return c, ok
}

// List returns all, by code; it must not be written to.
func (d *Directory) List() []*Carrier { return d.now.Load().list }

// Candidate is a guess whose number it is.
type Candidate struct {
	Code       string
	Confidence float64
	Rule       string
	// CheckDigitValid is nil where there is no check digit.
	CheckDigitValid *bool
	// Needed is what the carrier wants besides the number.
	Needed []Need
	// Home is the country of issue or the carrier's own; empty if it has none.
	Home parcel.Country
	// Way is how the carrier's countries go with the parcel's; empty if nobody
	// asked.
	Way       Fit
	Directory *Directory
}

// Need is what a carrier wants besides a number.
type Need string

// The needs.
const (
	NeedPostcode Need = "POSTCODE"
	NeedPhone    Need = "PHONE"
)

// Fit is how a carrier's countries go with a parcel's way.
type Fit string

// The fits.
const (
	FitOrigin      Fit = "ORIGIN"
	FitDestination Fit = "DESTINATION"
	FitNeither     Fit = "NEITHER"
)

// Needs is what the carrier wants to hear besides the number.
func (c Candidate) Needs() []Need {
	if c.Needed == nil {
		return []Need{}
	}
	return c.Needed
}

// Country is the country of issue, else the carrier's home.
func (c Candidate) Country() (parcel.Country, bool) { return c.Home, c.Home != "" }

// Fit is how the carrier's countries go with the parcel's.
func (c Candidate) Fit() (Fit, bool) { return c.Way, c.Way != "" }

// Carrier is the carrier, where there is an adapter for it.
func (c Candidate) Carrier() (*Carrier, bool) { return c.Directory.Get(c.Code) }

// CarrierPage is a page of carriers.
type CarrierPage struct {
	list  []*Carrier
	total int
	info  PageInfo
	lens  *Lens
}

const carrierList = "carriers"

// CarrierPage cuts a list of carriers, which must be in order of code.
func (lens *Lens) CarrierPage(list []*Carrier, first *int, after *string) (*CarrierPage, error) {
	lo := 0
	if after != nil {
		fields, err := lens.Cursors.OpenFields(carrierList, *after, 1)
		if err != nil {
			return nil, parcel.Invalidf(parcel.FaultMalformed, "after", "not a cursor of this list")
		}
		for lo < len(list) && list[lo].Code <= fields[0] {
			lo++
		}
	}
	from, to, info, err := PageArgs{First: first}.cut(len(list), lo, len(list), MaxPage)
	if err != nil {
		return nil, err
	}
	p := &CarrierPage{list: list[from:to], total: len(list), info: info, lens: lens}
	if n := len(p.list); n > 0 {
		p.info.Start, p.info.End = CarrierEdge{p.list[0], lens}, CarrierEdge{p.list[n-1], lens}
	}
	return p, nil
}

// Nodes are the carriers.
func (p *CarrierPage) Nodes() []*Carrier { return p.list }

// Edges are the carriers with their cursors.
func (p *CarrierPage) Edges() []CarrierEdge {
	out := make([]CarrierEdge, len(p.list))
	for i, c := range p.list {
		out[i] = CarrierEdge{c, p.lens}
	}
	return out
}

// PageInfo is where the page stands.
func (p *CarrierPage) PageInfo() PageInfo { return p.info }

// Count is how many there are.
func (p *CarrierPage) Count() Count { return Count{Value: p.total, Exact: true} }

// CarrierEdge is a carrier in a page.
type CarrierEdge struct {
	c    *Carrier
	lens *Lens
}

// Node is the carrier.
func (e CarrierEdge) Node() *Carrier { return e.c }

// Cursor is its place.
func (e CarrierEdge) Cursor() string { return e.lens.Cursors.SealFields(carrierList, e.c.Code) }
