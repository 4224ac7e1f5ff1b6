package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"
)

// manifest is krew's manifest of a plugin
// (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/), with all that krew requires.
type manifest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string `json:"version"`
		Homepage         string `json:"homepage"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string `json:"uri"`
			SHA256 string `json:"sha256"`
			Bin    string `json:"bin"`
		} `json:"platforms"`
	} `json:"spec"`
}

// uriAndSha does what krew-release-bot does.
func uriAndSha(uri, tag string) (string, error) {
	filled, err := template.New("uri").Parse(uri)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = filled.Execute(&text, map[string]string{"TagName": tag})
	return "uri: " + text.String() + "\n    sha256: " + strings.Repeat("0a", 32), err
}

func TestTheKrewManifestIsOne(t *testing.T) {
	content, err := os.ReadFile("../../.krew.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := template.New("krew").Funcs(template.FuncMap{"addURIAndSha": uriAndSha}).Parse(string(content))
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := filled.Execute(&text, map[string]string{"TagName": "v1.2.3"}); err != nil {
		t.Fatal(err)
	}
	made := manifest{}
	if err := yaml.UnmarshalStrict(text.Bytes(), &made); err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	if made.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || made.Kind != "Plugin" || made.Metadata.Name != "tenantry" ||
		made.Spec.Version != "v1.2.3" || len(made.Spec.ShortDescription) > 50 || len(made.Spec.Platforms) != 6 {
		t.Errorf("it is %+v", made)
	}
	for _, platform := range made.Spec.Platforms {
		system, machine := platform.Selector.MatchLabels["os"], platform.Selector.MatchLabels["arch"]
		archive := regexp.MustCompile(`/v1\.2\.3/kubectl-tenantry_` + system + "_" + machine + `\.tar\.gz$`)
		if !archive.MatchString(platform.URI) || len(platform.SHA256) != 64 || (platform.Bin == "kubectl-tenantry.exe") != (system == "windows") {
			t.Errorf("a platform is %+v", platform)
		}
	}
}
