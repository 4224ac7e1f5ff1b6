package status_test

import (
	"regexp"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	written "github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// What the API server accepts as the reason of a condition, and the maximum length of its message; see
// metav1.Condition.
var reasonPattern = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`)

const (
	maxReason  = 1024
	maxMessage = 32768
)

// FuzzWhatPodsSay fuzzes reasons and messages of pods, which tenants and admission plugins influence and which
// conditions contain.
func FuzzWhatPodsSay(f *testing.F) {
	for _, message := range []string{
		"", ".", "Back-off pulling image \"registry.example/shop:1\"", "%s %!d(MISSING)", "größer", "\xff\xfe",
		`pods "app-1" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=2, limited: pods=2`,
		`pods "app-1" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`,
		`admission webhook "w.example" denied the request: no`,
	} {
		f.Add("ImagePullBackOff", message, 1)
		f.Add("", message, 9000)
		f.Add("a reason in words", message, 1)
	}
	f.Fuzz(func(t *testing.T, reason, word string, times int) {
		message := word
		for range min(max(times, 0), 40) {
			if message += message; len(message) > 2*maxMessage {
				break
			}
		}
		trouble, found := workload.Trouble([]corev1.Pod{{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: reason, Message: message}}}, "spec.app", time.Unix(0, 0))
		if !found {
			t.Error("a pod that failed is no trouble")
		}
		for _, said := range []problem.Problem{trouble, problem.App.PodsRefused(message), problem.RolloutStuck(reason, message)} {
			check(t, said)
		}
	})
}

func check(t *testing.T, said problem.Problem) {
	t.Helper()
	var set []metav1.Condition
	written.Set(&set, 1, time.Unix(0, 0), "Ready", written.Of(said))
	switch got := set[0]; {
	case !reasonPattern.MatchString(got.Reason) || len(got.Reason) > maxReason:
		t.Errorf("the API server refuses the reason %q", got.Reason)
	case utf8.RuneCountInString(got.Message) > maxMessage:
		t.Errorf("the API server refuses a message of %d characters", utf8.RuneCountInString(got.Message))
	case !utf8.ValidString(got.Message):
		t.Errorf("the message is no text: %q", got.Message[max(0, len(got.Message)-20):])
	}
}
