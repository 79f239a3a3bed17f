package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/milepost-gateway/milepost/carriers/declared"
	"github.com/milepost-gateway/milepost/carriers/identify"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/internal/obs"
	"github.com/milepost-gateway/milepost/parcel"
)

// commands is the command line: a flag beats the environment (MILEPOST_*),
// which beats the file that --config names.
type commands struct {
	config.Source
	CarriersDir string `help:"Folder of YAML files, each of which describes a carrier; see docs/declared-carriers.md." default:"carriers.d" placeholder:"DIR"`
	LogFormat   string `help:"Write logs, which go to stderr, as text or json." enum:"text,json" default:"text"`
	LogLevel    string `help:"Write logs from this level up: debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`

	Serve      serveCommand      `cmd:"" help:"Run the gateway."`
	Demo       demoCommand       `cmd:"" help:"Run a gateway on a simulated carrier network; needs nothing."`
	Migrate    migrateCommand    `cmd:"" help:"Bring a database's schema up to date."`
	Import     importCommand     `cmd:"" help:"Take in shipments from a CSV or JSONL file."`
	Export     exportCommand     `cmd:"" help:"Write the change log as JSON lines."`
	Seed       seedCommand       `cmd:"" help:"Fill a database with shipments that have a past, for tests."`
	Bench      benchCommand      `cmd:"" help:"Measure this build against a hand-written server."`
	Scenarios  scenariosCommand  `cmd:"" help:"List public test numbers, and let things happen to them."`
	Carriers   carriersCommand   `cmd:"" help:"List carriers, try an account, identify a number, read a payload."`
	Drops      dropsCommand      `cmd:"" help:"Try the places in which carriers leave files."`
	Keys       keysCommand       `cmd:"" help:"Make, list and revoke API keys."`
	Merchants  merchantsCommand  `cmd:"" help:"List merchants, and set what shoppers see of them."`
	Replay     replayCommand     `cmd:"" help:"Read kept payloads again, after a mapping was mended."`
	Doctor     doctorCommand     `cmd:"" help:"Look for what is wrong with configuration, store and server."`
	Completion completionCommand `cmd:"" help:"Print a completion script for bash, zsh or fish."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// storeFlags are those of every verb that works on a database.
type storeFlags struct {
	Store     string `help:"Database: sqlite:PATH, or postgres://USER@HOST/DATABASE." default:"sqlite:milepost.db"`
	NoMigrate bool   `help:"Do not bring the database's schema up to date first."`
}

// doorFlags are those of every verb that listens.
type doorFlags struct {
	Listen    string `help:"Address of GraphQL, pages and webhooks." default:"127.0.0.1:8080"`
	OpsListen string `help:"Address of metrics, health and profiles, for operators only; - for none." default:"127.0.0.1:9090"`
}

type serveCommand struct {
	doorFlags
	storeFlags
	DrainTimeout time.Duration `help:"How long requests under way may take to end after a signal." default:"20s"`
	NoPoll       bool          `help:"Ask no carrier by plan, and fetch no file; queries, webhooks and imports still work."`
	Origins      []string      `name:"cors-origins" help:"Web origins whose pages may ask, such as https://shop.example; * for any." placeholder:"URL,..."`
	OpenSchema   bool          `help:"Let anyone read the schema, without a key."`
	LogRetention retention     `help:"How long changes can be read behind a cursor: days (400d), hours, or forever. Shipments and events are kept for ever." default:"400d" placeholder:"400d"`
}

func (serveCommand) Help() string {
	return `Serves GraphQL at /graphql (POST, GET, WebSocket, event streams) and takes carriers' webhooks at
/hooks/CARRIER/ENDPOINT. Carrier accounts stand in the file that --config names. SIGTERM and Ctrl-C let
what is under way end first.

Examples:
  milepost serve
  milepost serve --config milepost.yaml --store postgres://milepost@db/milepost?sslmode=require
  milepost keys create --merchant shop --scopes shipments:read,shipments:write`
}

// Validate refuses a drain that would be over before it begins.
func (c *serveCommand) Validate() error {
	if c.DrainTimeout < 0 {
		return fmt.Errorf("--drain-timeout: %s lies in the past; 0s waits for nothing", c.DrainTimeout)
	}
	return nil
}

func (c *serveCommand) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return serve(ctx, con, log, file, cat, c)
}

type demoCommand struct {
	doorFlags
	Speed     float64       `help:"How many times as fast as the wall clock parcels move; 0 suits the number of shipments." default:"0" placeholder:"N"`
	Seed      uint64        `help:"The same seed makes the same world." default:"1"`
	Shipments int           `help:"How many were registered before the demo begins." default:"300"`
	Key       string        `help:"A fixed API key with all scopes (mp_ and at least 8 letters or digits); without it, one is made." placeholder:"mp_..."`
	For       time.Duration `help:"Stop by itself after this time; 0 runs until Ctrl-C." default:"0" placeholder:"30s"`
	Dir       string        `help:"Keep the database in this folder, as demo.db; without it, it goes with the demo." placeholder:"DIR"`
}

func (demoCommand) Help() string {
	return `A whole gateway with nothing outside: its database is a temporary file, and its carriers are simulated
ones on the loopback that speak the real wire formats, on a clock that runs fast. It begins with a past of
90 days and prints what to paste.

Examples:
  milepost demo
  milepost demo --key mp_demo0000000000 --for 30s
  milepost demo --seed 7 --shipments 1000 --speed 8640`
}

// Validate bounds the world.
func (c *demoCommand) Validate() error {
	switch {
	case c.Shipments < 1 || c.Shipments > 100_000:
		return fmt.Errorf("--shipments: %d is not between 1 and 100000", c.Shipments)
	case c.Speed < 0 || c.Speed > clock.MaxSpeed:
		return fmt.Errorf("--speed: %v is not between 0 and %d", c.Speed, clock.MaxSpeed)
	case c.For < 0:
		return fmt.Errorf("--for: %s lies in the past", c.For)
	}
	return nil
}

func (c *demoCommand) Run(ctx context.Context, con *console, log *slog.Logger, cat *catalog) error {
	return demo(ctx, con, log, cat, c)
}

type migrateCommand struct {
	Store string `help:"Database: sqlite:PATH, or postgres://USER@HOST/DATABASE." default:"sqlite:milepost.db"`
}

func (migrateCommand) Help() string {
	return `Goes forward only; several processes may do it at once. Shipments that an older version had derived are
derived again from their events.

Examples:
  milepost migrate
  milepost migrate --store postgres://milepost@db/milepost`
}

func (c *migrateCommand) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return migrate(ctx, con, log, c.Store)
}

type importCommand struct {
	storeFlags
	File         string `arg:"" help:"CSV or JSONL file; - reads the standard input."`
	Map          string `help:"Mapping file (YAML) that says which column is what; without it the header must use milepost's names." placeholder:"FILE"`
	Merchant     string `help:"Merchant whose shipments they are; made if new." required:"" placeholder:"NAME"`
	AllOrNothing bool   `help:"Take all lines or none: one bad line undoes everything."`
	DryRun       bool   `help:"Check every line against the database, and write nothing."`
	Again        bool   `help:"Begin with the first line, also where this file was imported before."`
	Errors       string `help:"Write every fault, as CSV, to this file." placeholder:"FILE"`
}

func (importCommand) Help() string {
	return `Good lines are kept, bad ones are told with line and field. An import that was broken off goes on where
it stopped when it is started again; a file that was imported changes nothing. See docs/import.md.

Exit code 1 says that lines were refused.

Examples:
  milepost import orders.csv --merchant shop
  milepost import orders.csv --merchant shop --map shop.yaml --dry-run
  zcat orders.jsonl.gz | milepost import - --merchant shop`
}

// Validate refuses flags that contradict each other.
func (c *importCommand) Validate() error {
	if c.DryRun && c.AllOrNothing {
		return fmt.Errorf("--dry-run and --all-or-nothing contradict each other: a dry run takes nothing")
	}
	return nil
}

func (c *importCommand) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return importFile(ctx, con, log, file, cat, c)
}

type exportCommand struct {
	storeFlags
	After    string `help:"Begin behind this cursor; without it, with the oldest change kept." placeholder:"CURSOR"`
	To       string `help:"File to write; - for the standard output." default:"-" placeholder:"FILE"`
	Merchant string `help:"Only changes of this merchant; without it, of all." placeholder:"NAME"`
	Append   bool   `help:"Go on behind the last line of the file."`
	Follow   bool   `help:"Wait for what changes next, until Ctrl-C; a file is gone on with as by --append."`
}

func (exportCommand) Help() string {
	return `Every change of a shipment, in the order of the log: milestones, outcomes, exceptions, legs, numbers,
promises, retractions. Each line is a JSON object with its cursor, the shipment, what was before and after, and the
event and rule behind it; cursors are those of GraphQL and of /export/changes.jsonl. It may run beside a server.

A file gets its name when it is whole; until then it is FILE.part. The same command goes on behind the
last whole line of an export that was broken off. Exit code 1 says that the export is not whole, or that
changes behind the cursor are not kept any more.

Examples:
  milepost export > changes.jsonl
  milepost export --merchant shop --to shop.jsonl
  milepost export --merchant shop --to shop.jsonl --append
  milepost export --follow --after CURSOR | jq -c 'select(.after.outcome == "DELIVERED")'`
}

// Validate refuses flags that contradict each other.
func (c *exportCommand) Validate() error {
	switch {
	case c.To == "":
		return fmt.Errorf("--to: no file; - is the standard output")
	case c.Append && c.To == "-":
		return fmt.Errorf("--append: the standard output has no last line to go on behind; name a file, or a cursor with --after")
	}
	return nil
}

func (c *exportCommand) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return exportChanges(ctx, con, log, c)
}

type seedCommand struct {
	storeFlags
	Shipments int    `help:"How many." default:"10000"`
	Seed      uint64 `help:"The same seed makes the same shipments." default:"1"`
	Merchant  string `help:"Merchant whose shipments they are; made if new." default:"seed"`
}

func (seedCommand) Help() string {
	return `Journeys of about 5 legs and 12 events on the lanes that the simulator knows. No carrier is ever asked
about them.

Examples:
  milepost seed --shipments 100000
  milepost seed --shipments 5000 --seed 7 --merchant bench --store postgres://127.0.0.1/bench`
}

// Validate bounds the work.
func (c *seedCommand) Validate() error {
	if c.Shipments < 1 || c.Shipments > 50_000_000 {
		return fmt.Errorf("--shipments: %d is not between 1 and 50000000", c.Shipments)
	}
	return nil
}

func (c *seedCommand) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return seed(ctx, con, log, c)
}

type benchCommand struct {
	What      []string      `arg:"" optional:"" help:"start, read, write; these three if none is named. storefront, isolation: shoppers while carriers are slow, or one is sick." enum:"start,read,write,storefront,isolation"`
	Postgres  string        `help:"Any database on a PostgreSQL server whose user may make others; a scratch one is made and dropped." default:"postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"`
	Shipments int           `help:"How many are seeded before reading is measured." default:"5000"`
	Payloads  int           `help:"How many are taken in when writing is measured." default:"6000"`
	SQLite    bool          `name:"sqlite" help:"Measure storefront and isolation on SQLite instead of PostgreSQL."`
	Numbers   int           `help:"How many parcels shoppers ask for; 0 for the usual." default:"0" placeholder:"N"`
	Rate      int           `help:"How many shoppers ask in a second; 0 for the usual." default:"0" placeholder:"N"`
	Time      time.Duration `help:"How long each round lasts; 0 for the usual." default:"0" placeholder:"2s"`
	Rounds    int           `help:"How many rounds are measured, in turns; 0 for the usual." default:"0" placeholder:"N"`
}

func (benchCommand) Help() string {
	return `Both sides run in one process on the loopback over the same PostgreSQL, in turns, and answer the same; each
measurement is bounded. Exit code 1 says that a bar was not reached. See docs/benchmarks.md.

Examples:
  milepost bench
  milepost bench start
  milepost bench read write --postgres postgres://postgres@127.0.0.1/postgres?sslmode=disable
  milepost bench storefront --sqlite
  milepost bench isolation --sqlite --rounds 5`
}

func (c *benchCommand) Run(ctx context.Context, con *console) error { return measure(ctx, con, c) }

type carriersCommand struct {
	List     carriersList     `cmd:"" help:"List the carriers that milepost speaks to."`
	Test     carriersTest     `cmd:"" help:"Ask a carrier through a configured account."`
	Identify carriersIdentify `cmd:"" help:"Tell whose number this may be, best guess first."`
	Decode   carriersDecode   `cmd:"" help:"Read a carrier's answer, webhook or file as its adapter does."`
	Unmapped carriersUnmapped `cmd:"" help:"List codes and phrases that nobody mapped."`
}

type carriersUnmapped struct {
	storeFlags
	Carrier string `arg:"" optional:"" help:"Only what this carrier wrote."`
	JSON    bool   `name:"json" help:"Print JSON."`
	Stub    bool   `help:"Print rows to paste into the carrier's table, with the events left to name."`
}

func (carriersUnmapped) Help() string {
	return `The work queue of mapping: events whose code or words no table reads, commonest first, each with the
payload of an example. What the tables of today read is left out. After mapping, milepost replay reads
the kept payloads again.

Examples:
  milepost carriers unmapped
  milepost carriers unmapped dala-post --stub --carriers-dir carriers.d`
}

// Validate refuses two forms at once.
func (c *carriersUnmapped) Validate() error {
	if c.JSON && c.Stub {
		return fmt.Errorf("--json and --stub are two forms; name one")
	}
	return nil
}

func (c *carriersUnmapped) Run(ctx context.Context, con *console, log *slog.Logger, cat *catalog) error {
	return listUnmapped(ctx, con, log, cat, c)
}

type carriersList struct {
	Store string `help:"Tell also how the configured accounts stand, by what gateways on this database have told: sqlite:PATH, or postgres://USER@HOST/DATABASE." placeholder:"URL"`
	JSON  bool   `name:"json" help:"Print JSON, with every setting that an account may have."`
}

func (carriersList) Help() string {
	return `Carriers that files of --carriers-dir describe are listed with their file. Files with mistakes are told on
stderr, line by line, and give exit code 1. With a database each configured account is told with its state,
when it was last heard, what is left of its quota, whether calls are held back, and how much of what the
carrier wrote nobody has mapped. Nothing is asked of any carrier.

Examples:
  milepost carriers list
  milepost carriers list --config milepost.yaml --store sqlite:milepost.db
  milepost carriers list --carriers-dir examples/carriers.d
  milepost carriers list --json | jq '.[] | select(.name == "ups").settings'`
}

func (c *carriersList) Run(ctx context.Context, con *console, file *config.File, cat *catalog) error {
	return listCarriers(ctx, con, file, cat, c.Store, c.JSON)
}

type carriersTest struct {
	Name     string        `arg:"" help:"The carrier's name, as carriers list shows it, or the file that describes one."`
	Account  string        `help:"Which account, where there are several." placeholder:"NAME"`
	Number   string        `help:"Ask for this tracking number; without it, only whether we are let in." placeholder:"NUMBER"`
	Postcode string        `help:"Postcode of the destination, for carriers that ask for it." placeholder:"CODE"`
	Within   time.Duration `help:"Give up after this time." default:"30s"`
}

func (carriersTest) Help() string {
	return `One call goes out, and counts against the account's quota. Nothing is stored.

Of a file (.yaml) every mistake is told with its line; then the carrier that it describes is played on the
loopback, asked and read, and the samples in the folder beside the file are read. Nothing goes out.

Examples:
  milepost carriers test examples/carriers.d/kite-parcel.yaml
  milepost carriers test ups --config milepost.yaml
  milepost carriers test russian-post --number RB123456785CN --config milepost.yaml`
}

func (c *carriersTest) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	if declared.IsFile(c.Name) {
		return tryDescription(ctx, con, log, c.Name)
	}
	return tryAccount(ctx, con, file, log, cat, c.Name, c.Account, c.Number, c.Postcode)
}

type carriersIdentify struct {
	Number string `arg:"" help:"The number as it was typed."`
	From   string `help:"Country that the parcel comes from: it ranks the guesses." placeholder:"CODE"`
	To     string `help:"Country that the parcel goes to: it ranks the guesses." placeholder:"CODE"`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (carriersIdentify) Help() string {
	return `Nobody is asked: the form of the number tells. NEEDS names what the carrier
wants besides the number before it tells anything.

Examples:
  milepost carriers identify "rb 518 204 475 cn"
  milepost carriers identify 395017288464 --from CN --to BR`
}

func (c *carriersIdentify) Run(con *console, cat *catalog) error {
	way := identify.Context{Origin: parcel.Country(strings.ToUpper(c.From)), Destination: parcel.Country(strings.ToUpper(c.To))}
	return identifyNumber(con, cat, c.Number, way, c.JSON)
}

type carriersDecode struct {
	Name string `arg:"" help:"The carrier's name, as carriers list shows it, or the file that describes one."`
	File string `arg:"" optional:"" default:"-" help:"File with the payload; - reads the standard input."`
	Kind string `help:"Kind of payload, where its look does not tell." placeholder:"KIND"`
	// An empty answer says something only to who knows the question.
	Number []string `help:"Numbers that were asked for, where the answer does not repeat them." placeholder:"NUMBER,..."`
}

func (carriersDecode) Help() string {
	return `Prints one JSON object a line for each observation; numbers that the carrier does not know, estimates and
errors go to stderr. Personal fields are replaced first, as on the way in. Exit code 1 says that nothing
could be read.

Examples:
  milepost carriers decode ups answer.json
  milepost carriers decode carriers.d/kite-parcel.yaml answer.json
  curl -s https://... | milepost carriers decode correios`
}

func (c *carriersDecode) Run(con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return decodeFile(con, file, log, cat, c.Name, c.File, c.Kind, c.Number)
}

type keysCommand struct {
	Create keysCreate `cmd:"" help:"Make a key, and its merchant if new, and print it once."`
	List   keysList   `cmd:"" help:"List keys; their secrets are not kept."`
	Revoke keysRevoke `cmd:"" help:"Revoke a key; open streams of it close."`
}

type keysCreate struct {
	storeFlags
	merchantFlags
	Merchant string        `help:"Merchant whose key it is; made if new." required:"" placeholder:"NAME"`
	Scopes   []string      `help:"What it may do: ${scopes}." default:"shipments:read,shipments:write,events:write"`
	Name     string        `help:"What it is for, for the list." placeholder:"TEXT"`
	Expires  time.Duration `help:"Stop working after this time; 0 is never." default:"0" placeholder:"2160h"`
}

func (keysCreate) Help() string {
	return `The key goes to stdout, alone; the rest to stderr. --track-public, --locale and --support-url are settings
of the merchant, also of one that is there; see milepost merchants set.

Examples:
  milepost keys create --merchant shop --scopes shipments:read,shipments:write
  KEY=$(milepost keys create --merchant shop --scopes shipments:read)`
}

func (c *keysCreate) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return createKey(ctx, con, log, c)
}

type keysList struct {
	storeFlags
	Merchant string `help:"Only those of this merchant." placeholder:"NAME"`
	JSON     bool   `name:"json" help:"Print JSON."`
}

func (keysList) Help() string { return "Example:\n  milepost keys list --merchant shop" }

func (c *keysList) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return listKeys(ctx, con, log, c)
}

type keysRevoke struct {
	storeFlags
	Key string `arg:"" help:"The key's id, or its first characters, as the list shows them."`
}

func (keysRevoke) Help() string { return "Example:\n  milepost keys revoke mp_k3j9x2" }

func (c *keysRevoke) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return revokeKey(ctx, con, log, c)
}

// merchantFlags are the settings of a merchant; nil leaves one as it is.
type merchantFlags struct {
	TrackPublic *bool   `help:"Let a tracking number alone, without postcode, open the masked page." negatable:""`
	Locale      *string `help:"Language of texts where the reader asks for none, such as pt-BR; empty for none." placeholder:"TAG"`
	SupportURL  *string `name:"support-url" help:"Page where its shoppers find help; empty for none." placeholder:"URL"`
}

type merchantsCommand struct {
	List merchantsList `cmd:"" help:"List merchants and their settings."`
	Set  merchantsSet  `cmd:"" help:"Change settings of a merchant."`
}

type merchantsList struct {
	storeFlags
	JSON bool `name:"json" help:"Print JSON."`
}

func (merchantsList) Help() string { return "Example:\n  milepost merchants list" }

func (c *merchantsList) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return listMerchants(ctx, con, log, c)
}

type merchantsSet struct {
	storeFlags
	Name string `arg:"" help:"The merchant's name."`
	merchantFlags
}

func (merchantsSet) Help() string {
	return `What is not named stays as it is.

Examples:
  milepost merchants set shop --track-public --locale pt-BR
  milepost merchants set shop --no-track-public --support-url https://shop.example/help`
}

func (c *merchantsSet) Run(ctx context.Context, con *console, log *slog.Logger) error {
	return setMerchant(ctx, con, log, c)
}

type replayCommand struct {
	storeFlags
	Carrier string `help:"Only payloads of this carrier." placeholder:"NAME"`
	Since   string `help:"Only payloads received since this day (YYYY-MM-DD)." placeholder:"DAY"`
	DryRun  bool   `help:"Read and report, and write nothing."`

	since time.Time
}

func (replayCommand) Help() string {
	return `Raw payloads are kept, so that a mended mapping reaches back. What changes is reported by own code; doing
it again changes nothing. It may run beside a server.

Examples:
  milepost replay --carrier cainiao --since 2026-11-01 --dry-run
  milepost replay --config milepost.yaml`
}

// Validate reads the day.
func (c *replayCommand) Validate() (err error) {
	if c.Since == "" {
		return nil
	}
	if c.since, err = time.Parse(time.DateOnly, c.Since); err != nil {
		return fmt.Errorf("--since: %q is not a day as 2026-11-22", c.Since)
	}
	return nil
}

func (c *replayCommand) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return replay(ctx, con, log, file, cat, c)
}

type doctorCommand struct {
	Store string `help:"Database: sqlite:PATH, or postgres://USER@HOST/DATABASE." default:"sqlite:milepost.db"`
	doorFlags
}

func (doctorCommand) Help() string {
	return `Exit code 0 says that all is well. If a server answers at --ops-listen it is asked whether it is ready;
if none does, the ports must be free.

Examples:
  milepost doctor
  milepost doctor --config milepost.yaml --store postgres://milepost@db/milepost`
}

func (c *doctorCommand) Run(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog) error {
	return doctor(ctx, con, log, file, cat, c)
}

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (completionCommand) Help() string {
	return `Examples:
  source <(milepost completion bash)
  milepost completion zsh > "${fpath[1]}/_milepost"
  milepost completion fish > ~/.config/fish/completions/milepost.fish`
}

func (c *completionCommand) Run(con *console, k *kong.Kong) error {
	con.printf("%s", completionScript(k.Model.Node, c.Shell))
	return nil
}

type versionCommand struct {
	JSON bool `name:"json" help:"Print JSON."`
}

func (versionCommand) Help() string { return "Example:\n  milepost version" }

func (c *versionCommand) Run(con *console) error {
	b := obs.ReadBuild()
	if c.JSON {
		return writeJSON(con.out, b)
	}
	con.printf("%s\n", strings.TrimSpace(b.String()))
	return nil
}
