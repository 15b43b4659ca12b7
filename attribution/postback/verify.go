package postback

import (
	"fmt"

	"github.com/cespare/xxhash/v2"

	"vendue/attribution/internal/wire"
)

// afterAll is the first key behind all of postback's.
const afterAll = "Py"

// Verify counts every job anew, in one pass over one state of the space, and
// holds the totals and both indexes against them. Its memory does not grow with the jobs.
func Verify(space Space) (c Counts, faults []string, err error) {
	var created, createdUnsent, delivered, dead, lapsed, revived uint64
	unread := 0
	var due, dueWanted, ended, endedWanted uint64 // sums of hashes: of the keys there are, and of those there should be
	totals := map[string][2]*uint64{keyCreated: {&created, &createdUnsent}, keySettled: {&delivered, &dead}, keyLapsed: {&lapsed, &revived}}
	err = space.Scan([]byte(prefixDue), []byte(afterAll), func(k, v []byte) (bool, error) {
		switch prefix := string(k[:2]); prefix {
		case prefixDue:
			due += xxhash.Sum64(k)
		case prefixDead:
			ended += xxhash.Sum64(k)
		case prefixJob:
			j, bad := decodeJob(keyOf(k[len(prefixJob):]), v)
			if bad != nil {
				unread++
			}
			switch c.Created++; j.State {
			case Waiting:
				c.Waiting++
				dueWanted += xxhash.Sum64(dueKey(endpointOf(j.Endpoint), j.order(), j.Key))
			case Delivered:
				c.Delivered++
			case Dead:
				c.Dead++
				endedWanted += xxhash.Sum64(deadKey(j.Key))
			case NotSent:
				c.NotSent++
				endedWanted += xxhash.Sum64(deadKey(j.Key))
			}
		case keyCreated, keySettled, keyLapsed:
			r := wire.Reader{B: v}
			r.Uint()
			*totals[prefix][0], *totals[prefix][1] = r.Uint(), r.Uint()
			return true, r.Err()
		}
		return true, nil
	})
	if err != nil {
		return c, nil, fmt.Errorf("cannot read the postbacks: %w", err)
	}
	if unread > 0 {
		faults = append(faults, fmt.Sprintf("postbacks: %d cannot be read", unread))
	}
	for what, n := range map[string][2]uint64{
		"created": {created, c.Created}, "delivered": {delivered, c.Delivered}, "dead": {dead, c.Dead}, "not sent": {createdUnsent + lapsed - revived, c.NotSent},
	} {
		if n[0] != n[1] {
			faults = append(faults, fmt.Sprintf("postbacks: %d are kept as %s, and there are %d", n[0], what, n[1]))
		}
	}
	if due != dueWanted {
		faults = append(faults, "postbacks: the lines of those that wait are not those of the jobs")
	}
	if ended != endedWanted {
		faults = append(faults, "postbacks: the list of the dead and not sent is not that of the jobs")
	}
	return c, faults, nil
}
