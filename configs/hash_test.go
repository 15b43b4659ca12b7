package configs

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPresetIsPartOfTheHash loads one config in binaries that ship other presets.
func TestPresetIsPartOfTheHash(t *testing.T) {
	const text = house + `        price: 5.00
        format: phonexa
        vars: {account: a, apiId: b, apiPassword: env:TOKEN, productId: "7"}
        post: {timeout: 1s}
affiliates:
  blog:
    postbacks: [{on: lead.sold, preset: everflow, domain: tracker.example.com, nid: 63}]
`
	shipped := fstest.MapFS{}
	if err := fs.WalkDir(shippedFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			raw, err := fs.ReadFile(shippedFiles, path)
			shipped[path] = &fstest.MapFile{Data: raw}
			return err
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	hash := func(file, old, with string) string {
		files := maps.Clone(shipped)
		if file != "" {
			was := string(files[file].Data)
			if !strings.Contains(was, old) {
				t.Fatalf("%s has no %q", file, old)
			}
			files[file] = &fstest.MapFile{Data: []byte(strings.Replace(was, old, with, 1))}
		}
		l := newLoader("dir/house.yaml", "dir", env)
		l.files = files
		cfg, faults := l.load([]byte(text))
		if cfg == nil {
			t.Fatal(faults)
		}
		if strings.Contains(cfg.Text, "homePhone") {
			t.Fatal("the text shows what a preset says")
		}
		return cfg.Hash
	}
	was := hash("", "", "")
	if was != mustLoad(t, text).Hash {
		t.Error("the same presets, another hash")
	}
	if hash("dialects/phonexa.yaml", "homePhone", "cellPhone") == was {
		t.Error("a format's preset that says something else is the same config")
	}
	if hash("postbacks/everflow.yaml", "url:", "url: ") != was || hash("dialects/phonexa.yaml", "# Phonexa", "# phonexa") != was {
		t.Error("a preset that says the same is another config")
	}
	if hash("postbacks/everflow.yaml", "nid", "mid") == was {
		t.Error("a tracker's preset that says something else is the same config")
	}
	if hash("dialects/boberdoo.yaml", "Zip", "ZIP") != was {
		t.Error("a preset that is not used is part of the hash")
	}
}
