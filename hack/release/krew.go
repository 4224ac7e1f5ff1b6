package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// makeKrewManifest fills in the plugin's manifest for krew as krew-release-bot would, with the checksums of the archives.
func (r *release) makeKrewManifest(context.Context) error {
	parsed := template.New(".krew.yaml")
	archives := map[string]bool{}
	for _, program := range r.plugin {
		archives[archiveOf(program)] = true
	}
	parsed.Funcs(template.FuncMap{"addURIAndSha": func(uri, tag string) (string, error) {
		var filled strings.Builder
		address, err := template.New("uri").Parse(uri)
		if err != nil {
			return "", err
		}
		if err := address.Execute(&filled, map[string]string{"TagName": tag}); err != nil {
			return "", err
		}
		archive := path.Base(filled.String())
		if !archives[archive] {
			return "", fmt.Errorf("this release has no %s", archive)
		}
		delete(archives, archive)
		sum, err := sumOf(filepath.Join(r.folder, archive))
		return "uri: " + filled.String() + "\n    sha256: " + sum, err
	}})
	if _, err := parsed.ParseFiles(filepath.Join(r.root, ".krew.yaml")); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(r.folder, "krew-tenantry.yaml"))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := parsed.Execute(file, map[string]string{"TagName": r.version}); err != nil {
		return err
	}
	if len(archives) > 0 {
		return fmt.Errorf(".krew.yaml doesn't name %s", strings.Join(slices.Sorted(maps.Keys(archives)), ", "))
	}
	return nil
}
