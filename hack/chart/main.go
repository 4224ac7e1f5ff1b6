// Command chart generates the Helm chart from config/, so that the two can't differ: each object of config/default and
// config/prometheus becomes a template, in which only what values.yaml offers is replaced. What is in the chart only,
// such as its notes, is in the folder static.
//
//	go run ./hack/chart -kustomize bin/kustomize charts/tenantry
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
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: chart [-kustomize PATH] FOLDER")
		os.Exit(2)
	}
	if err := run(context.Background(), *kustomize, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kustomize, folder string) error {
	files := map[string][]byte{}
	var all []*unstructured.Unstructured
	for _, source := range []string{"config/default", "config/prometheus"} {
		objects, err := build(ctx, kustomize, source)
		if err != nil {
			return err
		}
		all = append(all, objects...)
	}
	if err := addStatic(files, all); err != nil {
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

// addStatic adds the files that are in the chart only. Those that end with .tmpl get the defaults of the Deployment.
func addStatic(files map[string][]byte, objects []*unstructured.Unstructured) error {
	defaults, err := defaultsOf(objects)
	if err != nil {
		return err
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
