package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// expectLines checks that each of the lines is in a report.
func expectLines(t *testing.T, told string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(told, line) {
			t.Errorf("%q is missing in\n%s", line, told)
		}
	}
}

func TestWhatIsToldAtTheEnd(t *testing.T) {
	isolation, faults := suite{name: "./test/isolation", specs: true}, suite{name: "./test/faults", specs: true}
	failed := errors.New("exit status 1")
	results := []result{
		{suite: isolation, seed: 7, took: 90 * time.Second, cpu: 2 * time.Minute, err: failed, failures: []failure{{name: "[It] a"}, {name: "[It] b", message: "Expected\n    x\nto equal\n    y"}}},
		{suite: faults, took: time.Minute, slow: []timing{{name: "[It] c", took: 12300 * time.Millisecond}}},
		{suite: isolation, seed: 8, took: 90 * time.Second, err: failed, failures: []failure{{name: "[It] b", message: "Timed out"}}},
		{suite: faults, skipped: errors.New("interrupted")},
		{suite: suite{name: "./test/nodes"}, leftOut: "This machine can't run real nodes."},
	}
	var told strings.Builder
	err := report(&told, results, 3*time.Minute)
	if err == nil || err.Error() != "failed or not run: ./test/faults, ./test/isolation" {
		t.Errorf("the error is %v", err)
	}
	expectLines(t, told.String(),
		"./test/isolation  1m30s  CPU 2m0s  FAILED (exit status 1), seed 7\n",
		"./test/faults     1m0s   CPU 0s    passed\n",
		"./test/faults     0s     CPU 0s    not run (interrupted)\n",
		"./test/nodes      0s     CPU 0s    not run\n",
		"in all            3m0s   CPU 2m0s\n",
		"  12.3 s  ./test/faults: [It] c\n",
		"NOT RUN: ./test/nodes. This machine can't run real nodes.\n",
		"FAILED 2 of 2 times in ./test/isolation: [It] b\n  Expected x to equal y\nFAILED 1 of 2 times in ./test/isolation: [It] a\n",
	)
}

func TestWhatPassedAloneIsNoErrorAndIsNamed(t *testing.T) {
	faults := suite{name: "./test/faults", specs: true}
	again := faults
	again.focus = " a$"
	var told strings.Builder
	if err := report(&told, []result{
		{suite: faults, seed: 7, took: time.Hour, err: errors.New("exit status 1"), failures: []failure{{name: "[It] a"}}, focus: again.focus, passedAlone: true},
		{suite: again, took: time.Minute},
	}, time.Hour); err != nil {
		t.Error(err)
	}
	expectLines(t, told.String(),
		"passed but for what passed alone, seed 7\n",
		"./test/faults, what failed  1m0s    CPU 0s  passed\n",
		"FAILED 1 of 2 times in ./test/faults: [It] a\n",
	)
}

func TestWhatFailedIsTriedAgain(t *testing.T) {
	it := func(state types.SpecState, ordered bool, texts ...string) types.SpecReport {
		last := len(texts) - 1
		return types.SpecReport{
			LeafNodeType: types.NodeTypeIt, State: state, IsInOrderedContainer: ordered,
			ContainerHierarchyTexts: texts[:last], LeafNodeText: texts[last],
		}
	}
	passed, timedOut := types.SpecStatePassed, types.SpecStateTimedout
	start := types.SpecReport{LeafNodeType: types.NodeTypeBeforeSuite, State: types.SpecStateFailed}
	for _, test := range []struct {
		name  string
		specs types.SpecReports
		want  string
	}{
		{"nothing", types.SpecReports{it(passed, false, "A tenant", "is (soon) Ready")}, ""},
		{"a spec", types.SpecReports{it(passed, false, "A tenant", "ends"), it(timedOut, false, "A tenant", "is (soon) Ready")}, ` A tenant is \(soon\) Ready$`},
		{"all that are in an order", types.SpecReports{it(timedOut, true, "A release", "begins", "x"), it(timedOut, true, "A release", "ends")}, " A release "},
		{"nothing if the suite did not start", types.SpecReports{it(timedOut, false, "A tenant", "ends"), start}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := focusOnFailed(test.specs); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

func TestNothingThatFailedIsNoError(t *testing.T) {
	if err := report(&strings.Builder{}, []result{{suite: suite{name: "./test/faults"}, took: time.Minute}}, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestWhyASuiteWasLeftOutIsReadFromItsReport(t *testing.T) {
	const skipped = `[{"SpecReports": [{"LeafNodeType": "It", "State": "skipped"}, {"LeafNodeType": "BeforeSuite", "State": "skipped", "Failure": {"Message": "no root"}}]}]`
	const run = `[{"SpecReports": [{"LeafNodeType": "It", "State": "skipped", "Failure": {"Message": "later"}}, {"LeafNodeType": "BeforeSuite", "State": "passed"}]}]`
	for content, want := range map[string]string{skipped: "no root", run: ""} {
		path := filepath.Join(t.TempDir(), reportFile)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := reasonToSkip(specsOf(path)); got != want {
			t.Errorf("it is %q, want %q", got, want)
		}
	}
}

func TestTheSlowestSpecsComeFirst(t *testing.T) {
	var specs types.SpecReports
	for number := range slowSpecs + 3 {
		specs = append(specs, types.SpecReport{RunTime: time.Duration(number)})
	}
	slow := slowest(specs)
	if len(slow) != slowSpecs || slow[0].took != specs[slowSpecs+2].RunTime || slow[slowSpecs-1].took != specs[3].RunTime {
		t.Errorf("they are %v", slow)
	}
}

func TestTheTestsThatFailedAreReadFromTheOutput(t *testing.T) {
	const output = "=== RUN   TestA\n--- FAIL: TestA (0.10s)\n    --- FAIL: TestA/sub (0.00s)\n--- PASS: TestB (0.00s)\n"
	if got := failedTests(output); !slices.Equal(got, []failure{{name: "TestA"}, {name: "TestA/sub"}}) {
		t.Errorf("they are %q", got)
	}
}

func TestWhatFailedFirstComesFirst(t *testing.T) {
	began := time.Now()
	failed := func(name string, after time.Duration) types.SpecReport {
		return types.SpecReport{
			LeafNodeType: types.NodeTypeIt, LeafNodeText: name, State: types.SpecStateFailed, EndTime: began.Add(after),
			Failure: types.Failure{Message: "why " + name},
		}
	}
	got := failedSpecs(types.SpecReports{failed("b", time.Minute), {State: types.SpecStatePassed}, failed("a", time.Second)})
	if !slices.Equal(got, []failure{{"[It] a", "why a"}, {"[It] b", "why b"}}) {
		t.Errorf("they are %q", got)
	}
}

func TestFewOfManyFailuresAreNamed(t *testing.T) {
	many := result{suite: suite{name: "./test/faults", specs: true}, err: errors.New("exit status 1")}
	for i := range mostFailures + 5 {
		many.failures = append(many.failures, failure{name: strconv.Itoa(i)})
	}
	lines := failures([]result{many})
	if len(lines) != mostFailures+1 || lines[mostFailures] != "FAILED: 5 further tests" {
		t.Errorf("they are %q", lines)
	}
}

func TestTwoSuitesRunAtATimeAndEachOnce(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	all := slices.Repeat([]suite{{name: "a"}, {name: "b", starts: true}, {name: "c"}}, 3)
	results := runner{timeout: time.Minute}.all(interrupted, all, 2)
	for i, r := range results {
		if r.name != all[i].name || !errors.Is(r.skipped, context.Canceled) {
			t.Errorf("run %d is %+v", i, r)
		}
	}
}
