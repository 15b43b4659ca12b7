package configs

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"vendue/attribution"
	"vendue/bidder"
	"vendue/exchange"
	"vendue/exchange/api"
)

// fileBytesMax bounds the file; 10,000 contracts take about 4 MiB.
const fileBytesMax = 16 << 20

// Config is one valid file, ready for the rooms. It is immutable.
type Config struct {
	Listen string // public address, host:port
	Admin  string // private address
	Data   string // absolute path of the data directory
	Node   uint16 // 0 to 4095, part of every id this node makes

	Reserve  time.Duration // our own part of a ping's time: bids end this much before the answer is due
	TapeDays int           // how many days of the auction tape are kept
	LogLevel string        // debug, info, warn or error
	Limits   Limits

	Market      *exchange.Market
	Bidder      bidder.Config      // Contracts run parallel to Market.Contracts
	Attribution attribution.Config // Dial is left to the caller
	API         api.Config
	EgressAllow []netip.Prefix // private addresses that postbacks may reach

	Hash string // SHA-256 of Text, of the lists that filters name and of the presets in use, in hexadecimal; a changed secret, header or environment does not change it
	Text string // canonical: sorted, without comments and secrets, ${NAME} unexpanded
}

// Limits bound what the house takes on at once.
type Limits struct {
	BodyBytesMax   int   // of one request; 64 KiB unless told
	BodiesBytesMax int64 // the large ones of all requests at hand together; 256 MiB unless told
	QuoteBytesMax  int64 // all live quotes together; 1 GiB unless told
	ConnectionsMax int   // public connections; 20,000 unless told
	InFlightMax    int   // requests of new business worked on at once; 0, unless told: as many as the machine can do in time
}

// Load reads the file at path. With any fault there is no config. All faults
// come at once, in the order of the file.
func Load(path string) (*Config, []Fault) { return LoadGently(path, &Pieces{}, func() {}) }

// LoadGently is Load again, beside other work: it reads what changed since pieces
// were accepted, and calls breathe after every small piece of work, for the caller
// to give way in. A piece takes some tens of microseconds, 0.15 ms where new text
// is read. A list on one line cannot be cut: one of ten thousand names that
// changed is a piece of 36 ms.
func LoadGently(path string, pieces *Pieces, breathe func()) (*Config, []Fault) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > fileBytesMax {
		err = fmt.Errorf("expected a file of at most %d bytes", fileBytesMax)
	}
	if err != nil {
		return nil, []Fault{{File: path, Line: 1, Col: 1, Text: "cannot read the config: " + err.Error()}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, []Fault{{File: path, Line: 1, Col: 1, Text: "cannot read the config: " + err.Error()}}
	}
	return loadBytes(path, text, os.LookupEnv, pieces, breathe)
}

// LoadBytes is Load for text already read. file stands in the faults, and
// relative paths are relative to its directory; getenv looks up ${NAME} and
// env:NAME.
func LoadBytes(file string, text []byte, getenv func(string) (string, bool)) (*Config, []Fault) {
	return loadBytes(file, text, getenv, &Pieces{}, func() {})
}

func loadBytes(file string, text []byte, getenv func(string) (string, bool), pieces *Pieces, breathe func()) (*Config, []Fault) {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, []Fault{{File: file, Line: 1, Col: 1, Text: "cannot find the config's directory: " + err.Error()}}
	}
	l := newLoader(file, dir, getenv)
	l.pieces, l.breathe = pieces, breathe
	return l.load(text)
}

// load reads a whole config.
func (l *loader) load(text []byte) (*Config, []Fault) {
	defer l.pieces.end()
	root := l.parse(text)
	if root == nil {
		return nil, l.sorted()
	}
	l.house(root)
	if len(l.faults) > 0 {
		return nil, l.sorted()
	}
	l.seal(root)
	l.pieces.accept()
	return &l.cfg, nil
}
