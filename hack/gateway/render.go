package main

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed nginx.conf.tmpl
var configuration string

var parsed = template.Must(template.New("nginx.conf").Parse(configuration))

// render returns nginx's configuration.
func render(folder string, hosts []*host) (string, error) {
	var content strings.Builder
	err := parsed.Execute(&content, rendering{folder, hosts})
	return content.String(), err
}

// rendering is what the template asks for.
type rendering struct {
	Folder string
	Hosts  []*host
}

// Certificate returns the path of the file with the certificate of a hostname and its key.
func (r rendering) Certificate(h *host) string { return certificatePath(r.Folder, h) }

func certificatePath(folder string, h *host) string {
	return filepath.Join(folder, "certificates", h.Secret.Namespace, h.Secret.Name+".pem")
}

// ServerName returns the hostname as nginx writes it. A wildcard of an Ingress stands for one label; that of a route for
// any number of them, as nginx's own does.
func (h *host) ServerName() string {
	if domain, wildcard := strings.CutPrefix(h.Name, "*"); wildcard && !h.Deep {
		return fmt.Sprintf("~^[^.]+%s$", regexp.QuoteMeta(domain))
	}
	return h.Name
}

// block is a location in nginx's configuration.
type block struct {
	Match   string
	Backend string
}

// Blocks returns the locations. A path of an Ingress also stands for those below it, element by element: /shop for
// /shop/basket, but not for /shopping.
func (h *host) Blocks() []block {
	var blocks []block
	exact := map[string]bool{}
	for _, location := range h.locations {
		if location.Exact {
			exact[location.Path] = true
			blocks = append(blocks, block{"= " + location.Path, location.Backend})
		}
	}
	for _, location := range h.locations {
		switch {
		case location.Exact:
		case location.Path == "/":
			blocks = append(blocks, block{"/", location.Backend})
		default:
			if !exact[location.Path] {
				blocks = append(blocks, block{"= " + location.Path, location.Backend})
			}
			blocks = append(blocks, block{location.Path + "/", location.Backend})
		}
	}
	if !slices.ContainsFunc(blocks, func(b block) bool { return b.Match == "/" }) {
		blocks = append(blocks, block{Match: "/"})
	}
	return blocks
}
