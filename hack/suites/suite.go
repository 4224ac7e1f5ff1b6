package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/tenantry/tenantry/hack/freeport"
)

const (
	module = "github.com/tenantry/tenantry"
	ginkgo = "github.com/onsi/ginkgo/v2"
	// reportFile is the name of Ginkgo's report of a run.
	reportFile = "report.json"
	// slowSpecs is how many of the specs that take longest are told of each suite.
	slowSpecs = 5
)

// launchers are the packages that start Kubernetes or PostgreSQL.
var launchers = []string{module + "/hack/cluster", module + "/hack/postgres"}

// modules are the folders of the modules that have tests, the main one first.
var modules = []string{".", "hack/tools", "hack/kubernetes", "hack/volumes", "test/network", "test/chart"}

// suite is a set of tests that run together: those of one package that starts Kubernetes or PostgreSQL, or the
// unit tests of a module.
type suite struct {
	name string
	// module is the folder of its module, and packages are their import paths.
	module   string
	packages []string
	// starts says that it starts Kubernetes or PostgreSQL, and specs that it consists of Ginkgo specs.
	starts, specs bool
	// focus matches the specs to run; all are run if it is empty.
	focus string
}

func (s suite) String() string { return s.name }

// find returns the suites with these names, or all if there are none: the unit tests first, then the suites that
// take longest. It returns an error for a name without a suite.
func find(ctx context.Context, names []string) ([]suite, error) {
	var units, starting []suite
	for _, folder := range modules {
		unit := suite{name: "unit tests of " + folder, module: folder}
		suites, err := list(ctx, folder)
		if err != nil {
			return nil, err
		}
		for _, listed := range suites {
			if listed.starts {
				starting = append(starting, listed)
			} else {
				unit.packages = append(unit.packages, listed.packages...)
			}
		}
		if len(unit.packages) > 0 {
			units = append(units, unit)
		}
	}
	slices.SortStableFunc(starting, func(a, b suite) int { return cmp.Compare(order(a), order(b)) })
	found := slices.Concat(units, starting)
	if len(names) == 0 {
		return found, nil
	}
	var chosen []suite
	for _, name := range names {
		at := slices.IndexFunc(found, func(s suite) bool { return s.name == name || s.name == "./"+filepath.Clean(name) })
		if at < 0 {
			return nil, fmt.Errorf("there is no suite %q; write some of %q, or nothing for all of them", name, found)
		}
		chosen = append(chosen, found[at])
	}
	return chosen, nil
}

// list returns the packages of a module that have tests, each as a suite.
func list(ctx context.Context, folder string) ([]suite, error) {
	command := exec.CommandContext(ctx, "go", "list", "-test", "-json=ImportPath,Deps", "./...")
	command.Dir, command.Stderr = folder, os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("can't list the packages of the module in %s: %w", folder, err)
	}
	var suites []suite
	for packages := json.NewDecoder(bytes.NewReader(output)); ; {
		var listed struct {
			ImportPath string
			Deps       []string
		}
		if err := packages.Decode(&listed); errors.Is(err, io.EOF) {
			return suites, nil
		} else if err != nil {
			return nil, err
		}
		if tested, isTest := strings.CutSuffix(listed.ImportPath, ".test"); isTest {
			suites = append(suites, suite{
				name: "." + strings.TrimPrefix(tested, module), module: folder, packages: []string{tested},
				starts: slices.ContainsFunc(listed.Deps, isLauncher), specs: slices.Contains(listed.Deps, ginkgo),
			})
		}
	}
}

// longest are the suites that take minutes. They begin first, so that no lane is left idle at the end.
var longest = []string{"./test/integration", "./test/faults", "./test/nodes", "./internal/database/postgres", "./test/dedicated"}

// whole are the suites whose specs one process runs: what nodes start needs most of a machine, and what restarts the
// operator all the time and waits for it shouldn't wait for itself.
var whole = []string{"./test/nodes", "./test/faults"}

// order returns the position of a suite among those that start something.
func order(s suite) int {
	if at := slices.Index(longest, s.name); at >= 0 {
		return at
	}
	return len(longest)
}

// isLauncher reports whether a package starts Kubernetes or PostgreSQL. After a space, go list has the test for
// which a package was compiled.
func isLauncher(name string) bool {
	compiled, _, _ := strings.Cut(name, " ")
	return slices.Contains(launchers, compiled)
}

// result is the result of one run of a suite.
type result struct {
	suite
	// seed is the random seed for the order of its specs.
	seed int64
	took time.Duration
	// cpu is the CPU time of the suite and of all that it has started.
	cpu time.Duration
	// skipped says why it was not run; nil if it was.
	skipped error
	// leftOut is why its specs were left out, in the suite's own words; empty if they were not.
	leftOut string
	// slow are the specs that took longest.
	slow []timing
	// err says that the suite failed, and failures are the tests that did.
	err      error
	failures []failure
	// focus matches the specs that failed, if these can be tried again.
	focus string
	// passedAlone says that they were, and passed.
	passedAlone bool
}

// ginkgo returns the path of Ginkgo's program.
func (r runner) ginkgo() string { return filepath.Join(r.scratch, "ginkgo") }

// run runs a suite once, in a lane, and then copies its output to standard output.
func (r runner) run(ctx context.Context, suite suite, lane int) result {
	outcome := result{suite: suite, seed: 1 + rand.Int64N(1<<31-2)}
	reports, err := os.MkdirTemp(r.scratch, "")
	if err != nil {
		outcome.err = err
		return outcome
	}
	var output bytes.Buffer
	command := r.command(ctx, suite, outcome.seed, reports)
	command.Dir, command.Stdout, command.Stderr = suite.module, &output, &output
	command.Env = append(os.Environ(), freeport.Environment(lane*r.processes))
	// The tests end what they have started when they are interrupted. With their own process group they get the
	// signal in the same way from a terminal and from another program.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }

	began := time.Now()
	outcome.err = command.Run()
	outcome.took = time.Since(began)
	if ended := command.ProcessState; ended != nil {
		outcome.cpu = ended.UserTime() + ended.SystemTime()
	}
	specs := specsOf(filepath.Join(reports, reportFile))
	outcome.leftOut, outcome.slow = reasonToSkip(specs), slowest(specs)
	if outcome.err != nil {
		outcome.focus = focusOnFailed(specs)
		if outcome.failures = failedSpecs(specs); len(outcome.failures) == 0 {
			outcome.failures = failedTests(output.String())
		}
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("== %s, %s, %s ==\n%s", suite, outcome.took.Round(time.Second), outcome.verdict(), &output)
	return outcome
}

// command runs a suite, whose report goes to a folder if it consists of specs.
func (r runner) command(ctx context.Context, suite suite, seed int64, reports string) *exec.Cmd {
	timeout := "--timeout=" + r.timeout.String()
	if !suite.specs {
		args := []string{"test", timeout}
		if suite.starts {
			args = append(args, "-v", "-count=1")
		}
		return exec.CommandContext(ctx, "go", append(args, suite.packages...)...)
	}
	processes := r.processes
	if slices.Contains(whole, suite.name) || suite.focus != "" {
		processes = 1
	}
	args := []string{
		"run", timeout, fmt.Sprintf("--procs=%d", processes), fmt.Sprintf("--seed=%d", seed),
		"--output-dir=" + reports, "--json-report=" + reportFile, "--no-color",
	}
	if suite.focus != "" {
		args = append(args, "--focus="+suite.focus, "--fail-on-empty")
	}
	for _, name := range suite.packages {
		args = append(args, "."+strings.TrimPrefix(name, path.Join(module, suite.module)))
	}
	return exec.CommandContext(ctx, r.ginkgo(), args...)
}

// printing is held while the output of a suite is printed, so that outputs don't mix.
var printing sync.Mutex

// failure is a test that failed.
type failure struct {
	name string
	// message is why, as far as that is known.
	message string
}

// failedSpecs returns the specs that failed, in the order in which they did: what fails first may be the reason for the
// rest.
func failedSpecs(specs types.SpecReports) (failed []failure) {
	specs = slices.SortedStableFunc(slices.Values(specs), func(a, b types.SpecReport) int { return a.EndTime.Compare(b.EndTime) })
	for i := range specs {
		if specs[i].Failed() {
			failed = append(failed, failure{name: nameOf(&specs[i]), message: specs[i].FailureMessage()})
		}
	}
	return failed
}

func nameOf(spec *types.SpecReport) string {
	return strings.TrimSpace(fmt.Sprintf("[%s] %s", spec.LeafNodeType, spec.FullText()))
}

// timing is how long a spec took.
type timing struct {
	name string
	took time.Duration
}

// slowest returns the specs that took longest, the longest first.
func slowest(specs types.SpecReports) []timing {
	timings := make([]timing, 0, len(specs))
	for i := range specs {
		if !specs[i].State.Is(types.SpecStateSkipped) {
			timings = append(timings, timing{name: nameOf(&specs[i]), took: specs[i].RunTime})
		}
	}
	slices.SortFunc(timings, func(a, b timing) int { return cmp.Compare(b.took, a.took) })
	return timings[:min(len(timings), slowSpecs)]
}

// reasonToSkip returns why a suite has left out all its specs; empty if it has not.
func reasonToSkip(specs types.SpecReports) string {
	for _, spec := range specs {
		if spec.LeafNodeType.Is(types.NodeTypesForSuiteLevelNodes) && spec.State.Is(types.SpecStateSkipped) {
			return spec.FailureMessage()
		}
	}
	return ""
}

// specsOf returns what Ginkgo's report says of each spec; nothing if it didn't come to write one.
func specsOf(report string) (specs types.SpecReports) {
	content, err := os.ReadFile(report)
	if err != nil {
		return nil
	}
	var runs []types.Report
	if err := json.Unmarshal(content, &runs); err != nil {
		return nil
	}
	for _, run := range runs {
		specs = append(specs, run.SpecReports...)
	}
	return specs
}

// failedTests returns the tests that failed, by the output of go test.
func failedTests(output string) (failed []failure) {
	for line := range strings.Lines(output) {
		if test, found := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); found {
			name, _, _ := strings.Cut(test, " (")
			failed = append(failed, failure{name: name})
		}
	}
	return failed
}
