package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strings"

	"github.com/terra-reconcile/terra-reconcile/reconcile/report"
)

//go:embed templates
var templates embed.FS

//go:embed web.css
var ownStyle string

// pages are the templates, and the one style sheet.
type pages struct {
	all       *template.Template
	sheet     string
	stylePath string
}

func newPages() (*pages, error) {
	all, err := template.New("parts").Parse(report.Parts())
	if err != nil {
		return nil, err
	}
	if all, err = all.ParseFS(templates, "templates/*.html"); err != nil {
		return nil, err
	}
	p := &pages{all: all, sheet: report.Style() + ownStyle}
	sum := sha256.Sum256([]byte(p.sheet))
	p.stylePath = "/style-" + hex.EncodeToString(sum[:6]) + ".css"
	return p, nil
}

// show fills a template; nothing is sent of one that fails.
func (p *pages) show(w http.ResponseWriter, status int, name string, data chromed) {
	var out bytes.Buffer
	data.sheetAt(p.stylePath)
	if err := p.all.ExecuteTemplate(&out, name+".html", data); err != nil {
		http.Error(w, "a fault of this program: the page cannot be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // a client that is gone needs no answer
}

// chrome is what every page has.
type chrome struct {
	*frame
	Title string
}

type frame struct {
	Sheet    string
	At       string
	Reload   string
	Here     string
	SignedIn bool
	Approves bool
}

// chromed is a page.
type chromed interface{ sheetAt(string) }

func (f *frame) sheetAt(path string) { f.Sheet = path }

func (s *Site) chrome(r *http.Request, title string) chrome {
	values := r.URL.Query()
	for _, name := range []string{"done", "token", "hash"} { // no place for these
		values.Del(name)
	}
	reload := r.URL.EscapedPath()
	if q := values.Encode(); q != "" {
		reload += "?" + q
	}
	return chrome{Title: title, frame: &frame{At: s.o.Now().UTC().Format("15:04:05 UTC"), Reload: reload, Here: r.URL.Path, SignedIn: s.o.Reader != nil && s.sessions.signedIn(r, s.o.Now()), Approves: s.o.Approver != nil}}
}

// style serves the style sheet; its address says which one, so it may be kept.
func (s *Site) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write([]byte(s.pages.sheet)) // a client that is gone needs no answer
}

type problemPage struct {
	chrome
	Status  string
	Problem string
}

// refuse answers what is not done, as a page or as a document of the API.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	if isAPI(r) {
		writeProblem(w, status, detail)
		return
	}
	p := problemPage{chrome: s.chrome(r, http.StatusText(status)), Status: http.StatusText(status), Problem: strings.ToUpper(detail[:1]) + clean(detail[1:]) + "."}
	p.Reload = ""
	s.pages.show(w, status, "problem", p)
}
