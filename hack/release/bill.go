package main

import (
	"context"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

const (
	module     = "github.com/tenantry/tenantry"
	repository = "https://" + module
	license    = "Apache-2.0"
)

// makeBills writes the bill of materials of each program. The operator's also has the Debian packages of its image.
func (r *release) makeBills(context.Context) error {
	for _, program := range r.operator {
		debs := make([]cyclonedx.Component, len(r.index.Packages))
		for number, file := range r.index.Packages {
			debs[number] = debOf(file)
		}
		if err := r.makeBill(program, debs); err != nil {
			return err
		}
	}
	for _, program := range r.plugin {
		if err := r.makeBill(program, nil); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) makeBill(program program, more []cyclonedx.Component) error {
	info, err := buildinfo.ReadFile(r.compiled(program))
	if err != nil {
		return err
	}
	sum, err := sumOf(r.compiled(program))
	if err != nil {
		return err
	}
	bill := billOf(program, r.version, sum, append(componentsOf(info), more...))
	bill.Metadata.Timestamp = r.source.time.Format(time.RFC3339)
	file, err := os.Create(filepath.Join(r.folder, program.name()+".cdx.json"))
	if err != nil {
		return err
	}
	defer file.Close()
	return cyclonedx.NewBOMEncoder(file, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bill, cyclonedx.SpecVersion1_6)
}

// billOf returns the bill of a program. Which of its components needs which other is not in a program, so that all stand
// beside each other.
func billOf(program program, version, sum string, components []cyclonedx.Component) *cyclonedx.BOM {
	purl := fmt.Sprintf("%s?goarch=%s&goos=%s#%s", purlOf(module, version), program.architecture, program.system, strings.TrimPrefix(program.path, "./"))
	refs := make([]string, len(components))
	for number, component := range components {
		refs[number] = component.BOMRef
	}
	bill := cyclonedx.NewBOM()
	bill.Metadata = &cyclonedx.Metadata{
		Lifecycles: &[]cyclonedx.Lifecycle{{Phase: cyclonedx.LifecyclePhasePostBuild}},
		Component: &cyclonedx.Component{
			BOMRef: purl, Type: cyclonedx.ComponentTypeApplication, Name: path.Base(program.path), Version: version, PackageURL: purl,
			Hashes:   &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: sum}},
			Licenses: &cyclonedx.Licenses{{License: &cyclonedx.License{ID: license}}},
		},
	}
	bill.Components = &components
	bill.Dependencies = &[]cyclonedx.Dependency{{Ref: purl, Dependencies: &refs}}
	return bill
}

// componentsOf returns the modules that a program was linked from, and Go's standard library.
func componentsOf(info *debug.BuildInfo) []cyclonedx.Component {
	goVersion := strings.TrimPrefix(info.GoVersion, "go")
	components := []cyclonedx.Component{library("std", goVersion, purlOf("std", goVersion))}
	for _, dependency := range info.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}
		component := library(dependency.Path, dependency.Version, purlOf(dependency.Path, dependency.Version))
		// As cyclonedx-gomod does: the checksum in go.sum is that of all files of the module.
		if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(dependency.Sum, "h1:")); err == nil && len(sum) > 0 {
			component.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
		}
		components = append(components, component)
	}
	return components
}

func library(name, version, purl string) cyclonedx.Component {
	return cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: version, PackageURL: purl}
}

// purlOf returns the package URL of a module.
func purlOf(module, version string) string {
	return "pkg:golang/" + module + "@" + strings.ReplaceAll(version, "+", "%2B")
}

// debOf returns what the name of a Debian package's file says: NAME_VERSION_ARCHITECTURE.deb.
func debOf(file string) cyclonedx.Component {
	name, rest, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".deb"), "_")
	at := strings.LastIndex(rest, "_")
	version := rest[:max(at, 0)]
	// apt-get writes the colon after an epoch as %3a.
	if plain, err := url.PathUnescape(version); err == nil {
		version = plain
	}
	purl := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s", name, strings.NewReplacer("+", "%2B", ":", "%3A").Replace(version), rest[at+1:])
	return library(name, version, purl)
}
