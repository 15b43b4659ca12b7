package world

import "fmt"

// Lead is a made-up consumer of the `auto` vertical. No two numbers of one
// seed share a phone.
type Lead struct {
	Zip, State   string
	Age          int
	Insured      bool
	Credit       string
	First, Last  string
	Phone, Email string
}

var (
	places = [...][2]string{
		{"85001", "AZ"}, {"90001", "CA"}, {"94102", "CA"}, {"89101", "NV"}, {"10001", "NY"}, {"11201", "NY"},
		{"77001", "TX"}, {"75201", "TX"}, {"33101", "FL"}, {"32801", "FL"}, {"60601", "IL"}, {"98101", "WA"},
		{"97201", "OR"}, {"80201", "CO"}, {"30301", "GA"}, {"19101", "PA"}, {"43201", "OH"}, {"48201", "MI"},
	}
	firstNames = [...]string{"Ada", "Ben", "Carla", "Dev", "Elena", "Frank", "Grace", "Hugo", "Iris", "Jonas", "Kira", "Luis"}
	lastNames  = [...]string{"Abbott", "Baker", "Castillo", "Dunn", "Evans", "Fischer", "Garcia", "Howard", "Ito", "Jensen"}
	credits    = [...]string{"excellent", "good", "fair", "poor"}
	areas      = [...]int{212, 213, 214, 303, 305, 312, 404, 415, 480, 503, 602, 614, 702, 713, 718, 206, 215, 313, 407, 623}
)

// MakeLead returns the n-th consumer of a seed.
func MakeLead(seed, n uint64) Lead {
	r := newDice(seed, n)
	place := places[r.next()%uint64(len(places))]
	l := Lead{
		Zip: place[0], State: place[1], Age: 18 + int(r.next()%60), Insured: r.hits(0.7),
		Credit: credits[r.next()%uint64(len(credits))],
		First:  firstNames[r.next()%uint64(len(firstNames))],
		Last:   lastNames[r.next()%uint64(len(lastNames))],
		Phone:  phone(seed, n),
	}
	l.Email = fmt.Sprintf("%s.%s.%d@example.com", lower(l.First), lower(l.Last), n)
	return l
}

// phone spreads n over valid-looking numbers of the North American plan: a
// permutation within an area, area after area, so that n never repeats within 150 million.
func phone(seed, n uint64) string {
	const exchanges = 791 // 200 to 999 without N11 and 555
	const perArea = exchanges * 10_000
	k := ((n+seed%perArea)%perArea*1_000_003 + seed%perArea) % perArea
	code := 200
	for left := k / 10_000; ; code++ {
		if code%100 == 11 || code == 555 {
			continue
		}
		if left == 0 {
			break
		}
		left--
	}
	area := areas[(n/perArea)%uint64(len(areas))]
	return fmt.Sprintf("+1%03d%03d%04d", area, code, k%10_000)
}

func lower(s string) string { return string(s[0]|0x20) + s[1:] }

// AppendPing appends the fields of a ping as a JSON object.
func (l *Lead) AppendPing(dst []byte) []byte {
	return fmt.Appendf(dst, `{"zip":%q,"state":%q,"age":%d,"insured":%t,"credit":%q}`, l.Zip, l.State, l.Age, l.Insured, l.Credit)
}

// AppendWhole appends every field as a JSON object.
func (l *Lead) AppendWhole(dst []byte) []byte {
	return fmt.Appendf(dst, `{"zip":%q,"state":%q,"age":%d,"insured":%t,"credit":%q,"first_name":%q,"last_name":%q,"phone":%q,"email":%q}`,
		l.Zip, l.State, l.Age, l.Insured, l.Credit, l.First, l.Last, l.Phone, l.Email)
}
