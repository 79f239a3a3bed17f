package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

var (
	//go:embed welcome.html
	welcomeHTML string
	//go:embed welcome.css
	welcomeCSS string

	welcome = template.Must(template.New("welcome").Parse(welcomeHTML))
)

// builtInPages is what a gateway shows that was given no pages: one page that
// tells what is here, with nothing from another host.
func builtInPages(g *Gateway) http.Handler {
	sum := sha256.Sum256([]byte(welcomeCSS))
	policy := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch {
		case r.URL.Path != "/":
			http.Error(w, "There is nothing here.", http.StatusNotFound)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		var page bytes.Buffer
		err := welcome.Execute(&page, struct {
			Style             template.CSS
			Host              string
			OpenSchema, Hooks bool
			Public            []string
			Cost              int
		}{template.CSS(welcomeCSS), r.Host, g.OpenSchema, g.Hooks != nil, g.Options.Public, g.Limits.Cost})
		if err != nil {
			panic(err) // the template is part of the program
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Length", strconv.Itoa(page.Len()))
		w.Write(page.Bytes())
	})
}

// printSchema writes a schema as SDL, descriptions and directives included.
func printSchema(schema *ast.Schema) []byte {
	var b bytes.Buffer
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(schema)
	return b.Bytes()
}
