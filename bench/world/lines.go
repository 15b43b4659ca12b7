package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"
)

func appendInt(dst []byte, n int) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// writeLines answers with one JSON object per line.
func writeLines[T any](ctx *fasthttp.RequestCtx, items []T) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for i := range items {
		if err := enc.Encode(&items[i]); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
			return
		}
	}
	ctx.SetContentType("application/x-ndjson")
	ctx.SetBody(out.Bytes())
}

// ReadLines reads what GET /receipts of a buyer or tracker answered.
func ReadLines[T any](text []byte) ([]T, error) {
	var items []T
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		var item T
		if err := dec.Decode(&item); err != nil {
			return nil, fmt.Errorf("cannot read receipt %d: %w", len(items)+1, err)
		}
		items = append(items, item)
	}
	return items, nil
}
