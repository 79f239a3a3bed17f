package storage

// Scope names on whose account a read is made. The zero Scope is nobody's and
// sees nothing, so a forgotten scope gives an empty answer and never a leak.
type Scope struct {
	merchant string
	reason   string
	all      bool
}

// OfMerchant is the scope of one tenant: what it registered, and nothing else.
// An empty id gives the zero Scope.
func OfMerchant(id string) Scope { return Scope{merchant: id} }

// OfDeployment crosses merchants. It is for the machine's own work (poller,
// rollups, replay) and for audited administrators; reason says which, and is
// what an audit shows.
func OfDeployment(reason string) Scope { return Scope{all: true, reason: reason} }

// Merchant is the tenant's id; ok is false for the deployment and for nobody.
func (s Scope) Merchant() (id string, ok bool) { return s.merchant, s.merchant != "" && !s.all }

// Deployment gives the reason for crossing merchants; ok is false otherwise.
func (s Scope) Deployment() (reason string, ok bool) { return s.reason, s.all }

// nobody tells whether the scope sees nothing.
func (s Scope) nobody() bool { return !s.all && s.merchant == "" }
