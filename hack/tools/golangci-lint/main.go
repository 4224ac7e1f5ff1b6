// Command golangci-lint is golangci-lint with the Kubernetes API linter
// compiled in, so that one program and one go.mod pin both.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers the kubeapilinter plugin
)

const lintModule = "github.com/golangci/golangci-lint/v2"

func main() {
	if err := commands.Execute(buildInfo()); err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}

// buildInfo names the golangci-lint release that go.mod pins: golangci-lint
// uses it to key its cache and to read the configuration's "version".
func buildInfo() commands.BuildInfo {
	info := commands.BuildInfo{Version: "unknown", Commit: "?", Date: "?", GoVersion: "unknown"}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	info.GoVersion = build.GoVersion
	i := slices.IndexFunc(build.Deps, func(dep *debug.Module) bool { return dep.Path == lintModule })
	if i >= 0 {
		info.Version = strings.TrimPrefix(build.Deps[i].Version, "v")
		info.Commit = build.Deps[i].Sum
	}
	return info
}
