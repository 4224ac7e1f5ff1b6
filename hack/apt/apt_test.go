package apt_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tenantry/tenantry/hack/apt"
)

// machine sets PATH to a folder with a dpkg-query that reports one installed package, python3, and an apt-get that
// records its arguments and then runs the given script.
func machine(t *testing.T, aptGet string) (calls func() string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	for name, script := range map[string]string{
		"dpkg-query": `for name; do :; done; [ "$name" = python3 ] && printf installed`,
		"apt-get":    `echo "$@" >>` + log + "\n" + aptGet,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return func() string {
		content, _ := os.ReadFile(log) // not there before the first call
		return string(content)
	}
}

func TestEnsureLeavesWhatIsInstalledAlone(t *testing.T) {
	g := NewWithT(t)
	calls := machine(t, "")
	g.Expect(apt.Ensure(t.Context(), t.Output(), "python3")).To(Succeed())
	g.Expect(calls()).To(BeEmpty())
}

func TestEnsureInstallsWhatIsMissing(t *testing.T) {
	g := NewWithT(t)
	calls := machine(t, "")
	err := apt.Ensure(t.Context(), t.Output(), "python3", "python3-flask", "python3-django")
	if os.Geteuid() != 0 {
		g.Expect(err).To(MatchError("only root may install packages; run sudo apt-get install python3-flask python3-django"))
		return
	}
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(calls()).To(And(
		ContainSubstring(" update\n"), HaveSuffix(" install --yes --no-install-recommends python3-flask python3-django\n")))
}

func TestInstallSaysWhyItFailed(t *testing.T) {
	g := NewWithT(t)
	if os.Geteuid() != 0 {
		t.Skip("only root gets as far")
	}
	machine(t, "echo no route to the mirror; exit 100")
	g.Expect(apt.Install(t.Context(), t.Output(), "postgresql")).To(MatchError(
		"apt-get could not install postgresql; try it by hand: exit status 100; it said:\nno route to the mirror"))
}

func TestInstallNeedsAptGet(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	NewWithT(t).Expect(apt.Install(t.Context(), t.Output(), "postgresql")).To(MatchError(
		"there is no apt-get here; install what Debian calls postgresql in this system's own way"))
}
