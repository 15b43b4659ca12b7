package postback_test

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"vendue/attribution/internal/fake"
	"vendue/attribution/postback"
)

// dying is a space whose machine loses its power after so many commits: what
// was synced by then is in image, and nothing is written any more.
type dying struct {
	*fake.Space
	left  int
	image *fake.Space
}

func (d *dying) Commit(sync bool, fn func(postback.Batch)) error {
	if d.image != nil {
		return fake.ErrDisk
	}
	err := d.Space.Commit(sync, fn)
	if d.left--; d.left == 0 {
		d.image = d.Crash()
	}
	return err
}

const followed = "cursor" // how far the follower of this test is

// followUp plays the follower: events 1 to n, a batch of two at a time, each a
// job to each host, the batch and the cursor together and not synced.
func followUp(w *world, s *postback.Sender, space postback.Space, hosts []string, n int) {
	for {
		v, _, err := space.Get([]byte(followed))
		if err != nil {
			w.t.Fatal(err)
		}
		cursor, _ := strconv.Atoi(string(v))
		if cursor >= n {
			return
		}
		in := s.NewIntake()
		next := min(cursor+2, n)
		for seq := cursor + 1; seq <= next; seq++ {
			for no, host := range hosts {
				in.Add(postback.Job{
					Key: postback.Key{Seq: uint64(seq), No: uint16(no)}, Affiliate: "blog", Event: "lead.sold", ConversionID: fmt.Sprint(seq, "-", no),
					Endpoint: "http://" + host, Notice: postback.NoticeOf("blog", "lead.sold", host), Created: in.Now(),
				}, []byte(fmt.Sprintf("http://%s/?id=%d-%d", host, seq, no)), "")
			}
		}
		if space.Commit(false, func(b postback.Batch) {
			in.Write(b)
			b.Set([]byte(followed), []byte(strconv.Itoa(next)))
		}) != nil {
			return // the power is gone
		}
		in.Done()
		time.Sleep(300 * time.Millisecond)
	}
}

// TestACrashAtEveryRecordBoundary loses the power after each commit of the
// follower's and the sender's in turn. Each postback's id arrives at least
// once; what was settled on disk is not sent again; the counts agree.
func TestACrashAtEveryRecordBoundary(t *testing.T) {
	hosts := []string{"well.example", "flap.example", "no.example"}
	const events = 6
	for boundary, dead := 1, true; dead; boundary++ {
		if boundary > 200 {
			t.Fatal("the commits never end")
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			w.tracker("well.example", answer(200))
			w.tracker("flap.example", func(n int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode([]int{200, 500}[n%2]) })
			w.tracker("no.example", func(_ int, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(410) })
			space := &dying{Space: fake.NewSpace(), left: boundary}
			s := w.senderOn(space)
			s.Start()
			followUp(w, s, space, hosts, events)
			time.Sleep(time.Minute)
			s.Stop()
			if dead = space.image != nil; !dead {
				return
			}
			before := map[string]int{}
			for _, host := range hosts {
				before[host] = len(w.receipts(host))
			}
			s = w.senderOn(space.image)
			settled, _, err := s.Jobs(postback.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			s.Start()
			followUp(w, s, space.image, hosts, events)
			time.Sleep(time.Hour)
			s.Stop()
			arrived, again := map[string]bool{}, map[string]bool{}
			for _, host := range hosts {
				for i, r := range w.receipts(host) {
					arrived[r.uri] = true
					if i >= before[host] {
						again[r.uri] = true
					}
				}
			}
			for seq := 1; seq <= events; seq++ {
				for no := range hosts {
					if uri := fmt.Sprintf("/?id=%d-%d", seq, no); !arrived[uri] && hosts[no] != "no.example" {
						t.Errorf("boundary %d: %s never arrived", boundary, uri)
					}
				}
			}
			for i := range settled {
				if uri := "/?id=" + settled[i].ConversionID; settled[i].State != postback.Waiting && again[uri] {
					t.Errorf("boundary %d: %s was %s on disk and sent again", boundary, uri, settled[i].State)
				}
			}
			all, _, err := s.Jobs(postback.Filter{})
			k := s.Counts()
			if err != nil || len(all) != events*len(hosts) || k.Created != events*3 || k.Delivered != events*2 || k.Dead+k.NotSent != events || k.Waiting != 0 {
				t.Errorf("boundary %d: %d jobs, %+v, %v", boundary, len(all), k, err)
			}
		})
	}
}
