package api

import (
	"crypto/sha256"

	"github.com/valyala/fasthttp"

	"vendue/exchange"
	"vendue/exchange/api/skin"
)

// throughSkin answers a request in another platform's format, if its path is one of a
// format that any campaign speaks. The native handlers do all the work: they get
// the native request that the foreign one stands for, and what they say is told
// in the platform's words.
func (a *API) throughSkin(ctx *fasthttp.RequestCtx, path string) bool {
	route, ok := a.skinOf(path)
	if !ok {
		return false
	}
	c := a.callOf(ctx)
	a.m.skins[route.Format].Inc()
	accept := string(ctx.Request.Header.Peek(fasthttp.HeaderAccept))
	if !ctx.IsPost() && (!route.Get || !ctx.IsGet()) {
		allow := fasthttp.MethodPost
		if route.Get {
			allow = "GET, POST"
		}
		ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
		a.refuse(ctx, skin.Unread(route, accept), &refusal{status: 405, reason: exchange.ReasonInvalidField, Fault: skin.Fault{Detail: "expected " + allow}})
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed) // whatever the platform's own status for a fault
		return true
	}
	req, fault := skin.Read(route, &skin.Input{
		ContentType: string(ctx.Request.Header.ContentType()), Accept: accept,
		Query: string(ctx.URI().QueryString()), Body: string(ctx.Request.Body()), Key: string(keyOf(&ctx.Request.Header)),
	})
	intake, refused := a.admit(c, req, fault)
	if refused != nil {
		a.refuse(ctx, req, refused)
		return true
	}
	var native *skin.Native
	if req.Call != skin.CallLook {
		if native, fault = req.Native(intake); fault != nil {
			a.refuse(ctx, req, &refusal{status: 422, reason: exchange.ReasonInvalidField, Fault: *fault})
			return true
		}
	}
	a.callNative(c, req, native)
	a.tell(ctx, req, req.ReadAnswer(native, ctx.Response.StatusCode(), ctx.Response.Body()))
	return true
}

// skinOf returns the route of a path, if any campaign speaks its format.
func (a *API) skinOf(path string) (skin.Route, bool) {
	route, ok := skin.Find(path)
	return route, ok && a.cfg.Load().Skins.Speaks(route.Format)
}

// refusal is why a foreign request never became a native one.
type refusal struct {
	status int
	reason exchange.Reason
	skin.Fault
}

// admit finds the seller and the campaign that a foreign request means. Whose key it is comes
// before what else may be wrong, so that strangers learn nothing of a campaign.
func (a *API) admit(c *call, req *skin.Request, fault *skin.Fault) (*skin.Intake, *refusal) {
	if c.snap == nil {
		return nil, &refusal{status: 503, reason: exchange.ReasonOverloaded, Fault: skin.Fault{Detail: "starting"}}
	}
	set := a.cfg.Load().Skins
	sum := sha256.Sum256([]byte(req.Key))
	own := false
	if len(req.Key) > 0 && len(req.Key) <= keyBytesMax {
		c.principal = c.snap.Market.Keys[sum]
		if c.principal.Seller == nil {
			var seller exchange.SellerID
			seller, own = set.Holder(req.Format, sum)
			c.principal = exchange.Principal{Seller: c.snap.Market.Sellers[seller]}
		}
	}
	if c.principal.Seller == nil && fault != nil && req.Key == "" {
		return nil, &refusal{status: 400, reason: exchange.ReasonInvalidField, Fault: *fault} // the key may be in what cannot be read
	}
	if c.principal.Seller == nil {
		return nil, &refusal{status: 401, reason: exchange.ReasonAuth, Fault: skin.Fault{
			Detail: "expected a valid key", Fields: []skin.FieldError{{Field: req.KeyName(), Text: "expected a valid key", Missing: req.Key == ""}},
		}}
	}
	if fault != nil {
		return nil, &refusal{status: 400, reason: exchange.ReasonInvalidField, Fault: *fault}
	}
	if req.Call == skin.CallLook {
		return nil, nil
	}
	intake := set.Find(c.principal.Seller.ID, req)
	if req.ID() == "" || intake == nil || (own && intake.Key != sum) {
		r := &refusal{status: 403, reason: exchange.ReasonAuth, Fault: skin.Fault{
			Detail: "no such campaign of yours", Fields: []skin.FieldError{{Field: req.IDName(), Text: "expected one of your campaigns"}},
		}}
		if req.ID() == "" {
			r.reason = exchange.ReasonMissingField
			r.Fields[0].Text, r.Fields[0].Missing = "missing: expected one of your campaigns", true
		}
		return nil, r
	}
	return intake, nil
}

// callNative puts the native request in the foreign one's place and lets the native handlers answer it.
func (a *API) callNative(c *call, req *skin.Request, native *skin.Native) {
	if native != nil {
		if native.Unknown > 0 {
			a.m.unknownFields.Add(native.Unknown)
		}
		h := &c.ctx.Request.Header
		h.SetContentType("application/json")
		if len(h.Peek("Idempotency-Key")) == 0 {
			h.Set("Idempotency-Key", native.Key)
		}
		c.ctx.Request.SetBodyString(native.Body)
	}
	switch req.Call {
	case skin.CallPing:
		a.ping(c)
	case skin.CallDirect:
		a.direct(c)
	case skin.CallLook:
		a.lead(c, req.LeadID())
	default:
		a.post(c)
		// Who posts a ping again wants to know what became of it.
		if lead, used := skin.FirstLead(c.ctx.Response.Body()); used {
			c.ctx.Response.Reset()
			a.lead(c, lead)
		}
	}
}

// refuse answers what never became a native request.
func (a *API) refuse(ctx *fasthttp.RequestCtx, req *skin.Request, r *refusal) {
	if c := a.m.faults[r.status]; c != nil {
		c.Inc()
	}
	if r.status == 429 || r.status == 503 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
	}
	a.tell(ctx, req, req.FaultAnswer(r.status, r.reason.String(), &r.Fault))
}

// tell writes an answer in the platform's words. What the native handlers said
// of when to ask again stays.
func (a *API) tell(ctx *fasthttp.RequestCtx, req *skin.Request, ans *skin.Answer) {
	reply := req.Tell(ans)
	if reply.Status == fasthttp.StatusOK || reply.Status == fasthttp.StatusCreated {
		ctx.Response.Header.Del(fasthttp.HeaderRetryAfter)
	}
	ctx.SetStatusCode(reply.Status)
	ctx.SetContentType(reply.ContentType)
	ctx.Response.SetBodyRaw(reply.Body)
}

// Begins tells whether a request to a path begins something: it may be shed
// where one that finishes something may not. What a path alone cannot tell is taken to finish.
func (a *API) Begins(path string) bool {
	switch path {
	case "/v1/ping", "/v1/direct":
		return true
	}
	route, ok := a.skinOf(path)
	return ok && (route.Call == skin.CallPing || (route.Call == skin.CallDirect && route.Format != skin.LeadConduit))
}

// Config is what the face knows beside the market. It is immutable.
type Config struct {
	Skins *skin.Set                        // nil: none
	URL   string                           // of the public listener, as sellers reach it; no slash at its end
	Pages map[[32]byte]exchange.CampaignID // posting instructions, by the SHA-256 of their secret
}

// Use takes a new config. A request uses one from its beginning to its end, or the next.
func (a *API) Use(cfg Config) {
	if cfg.Skins == nil {
		cfg.Skins = skin.NewSet(nil)
	}
	a.cfg.Store(&cfg)
}
