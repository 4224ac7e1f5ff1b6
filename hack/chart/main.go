// Command chart generates the Helm chart from config/, so that the two can't differ: each object of config/default and
// config/prometheus becomes a template, in which only what values.yaml offers is replaced. What is in the chart only,
// such as its notes, is in the folder static.
//
//	go run ./hack/chart -kustomize bin/kustomize charts/tenantry
//
// The chart of a release has the version of that, and the name of the image that was published:
//
//	go run ./hack/chart -version v1.2.3 -image registry.example/tenantry/manager FOLDER
package main

import (
	"bytes"
	"context"
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/hack/manifests"
	"github.com/tenantry/tenantry/hack/process"
)

//go:embed all:static
var static embed.FS

func main() {
	kustomize := flag.String("kustomize", "bin/kustomize", "the path of kustomize")
	var released release
	flag.StringVar(&released.version, "version", "", "the version of a release, with its v")
	flag.StringVar(&released.image, "image", "", "the name of the release's image, without a tag")
	flag.Parse()
	if flag.NArg() != 1 || (released.version == "") != (released.image == "") {
		fmt.Fprintln(os.Stderr, "usage: chart [-kustomize PATH] [-version VERSION -image NAME] FOLDER")
		os.Exit(2)
	}
	if err := run(context.Background(), *kustomize, flag.Arg(0), released); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// release is the release that the chart is of. Empty, it is that of a checkout.
type release struct{ version, image string }

func run(ctx context.Context, kustomize, folder string, released release) error {
	files := map[string][]byte{}
	var all []*unstructured.Unstructured
	for _, source := range []string{"config/default", "config/prometheus"} {
		objects, err := build(ctx, kustomize, source)
		if err != nil {
			return err
		}
		all = append(all, objects...)
	}
	if err := addStatic(files, all, released); err != nil {
		return err
	}
	for _, object := range all {
		if err := addObject(files, object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// build returns the objects of a folder of config.
func build(ctx context.Context, kustomize, source string) ([]*unstructured.Unstructured, error) {
	text, err := process.Output(exec.CommandContext(ctx, kustomize, "build", source))
	if err != nil {
		return nil, err
	}
	objects, err := manifests.Read([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return objects, nil
}

// addStatic adds the files that are in the chart only. Those that end with .tmpl get the defaults of the Deployment,
// or those of the release.
func addStatic(files map[string][]byte, objects []*unstructured.Unstructured, released release) error {
	defaults, err := defaultsOf(objects)
	if err != nil {
		return err
	}
	if released != (release{}) {
		defaults.Repository, defaults.Tag = released.image, released.version
		defaults.Version = strings.TrimPrefix(released.version, "v")
	}
	return fs.WalkDir(static, "static", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := static.ReadFile(path)
		if err != nil {
			return err
		}
		name, isTemplate := strings.CutSuffix(strings.TrimPrefix(path, "static/"), ".tmpl")
		if isTemplate {
			parsed, err := template.New(name).Delims("[[", "]]").Parse(string(content))
			if err != nil {
				return err
			}
			var filled bytes.Buffer
			if err := parsed.Execute(&filled, defaults); err != nil {
				return err
			}
			content = filled.Bytes()
		}
		files[name] = content
		return nil
	})
}
