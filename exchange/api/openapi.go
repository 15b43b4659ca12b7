package api

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// document describes every route of the house, this room's and the others', to
// those outside. It is written by hand; tests hold every answer against it.
//
//go:embed openapi.json
var document string

// ServeDocument answers with the house's OpenAPI 3.1 document.
func ServeDocument(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	ctx.SetBodyString(document)
}
