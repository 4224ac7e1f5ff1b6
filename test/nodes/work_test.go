package nodes

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/postgres"
)

const (
	// betweenOrders is how often an order comes in, and newOrder what is posted.
	betweenOrders = time.Second
	newOrder      = `{"number": "B-#", "lines": [{"article": "nut", "quantity": 1}]}`
)

// working is a shop to which orders come in, which its worker packs, and which runs of its schedule bill.
type working struct {
	tenant           string
	worker, schedule string
	orders           *asking
	endings          *endings
	runs             int
}

// work has orders come in at a shop, and notes how its containers end.
func work(ctx SpecContext, tenant *v1alpha1.Tenant) *working {
	GinkgoHelper()
	Eventually(ctx, page).WithArguments(tenant.Name, "/orders").Should(ContainSubstring(`"state": "packed"`))
	return &working{
		tenant: tenant.Name, worker: string(tenant.Spec.App.Workers[0].Name), schedule: string(tenant.Spec.App.Schedules[0].Name),
		endings: watchEndings(ctx, tenant.Name), orders: ask(ctx, tenant.Name, "/orders", betweenOrders, newOrder),
	}
}

// startRun starts a run of the schedule by hand.
func (w *working) startRun(ctx SpecContext, name string) {
	GinkgoHelper()
	w.runs++
	Expect(kubectl(ctx, "create", "job", "--from=cronjob/"+w.schedule, w.schedule+"-"+name, "--namespace="+w.tenant)).To(ContainSubstring("created"))
}

// check ends the orders, and fails unless all were taken and packed, and no worker and no run has failed.
func (w *working) check(ctx SpecContext) {
	GinkgoHelper()
	printed, err := w.orders.answered()
	Expect(printed, err).To(allAnswered(), w.tenant)
	count, _, _ := strings.Cut(strings.TrimPrefix(printed, "asked "), ",")
	taken, err := strconv.Atoi(count)
	Expect(err).NotTo(HaveOccurred())

	Eventually(ctx, page).WithArguments(w.tenant, "/orders").ShouldNot(ContainSubstring(`"state": "new"`))
	var stored []struct{ Number string }
	content, err := page(ctx, w.tenant, "/orders")
	Expect(err).NotTo(HaveOccurred())
	Expect(json.Unmarshal([]byte(content), &stored)).To(Succeed())
	Expect(stored).To(HaveLen(1+taken), "the order of before, and these")

	succeeded := HaveSuffix(" exit code 0")
	Eventually(ctx, w.endings.of).WithArguments(w.schedule).Should(And(HaveLen(w.runs), HaveEach(succeeded)), w.tenant)
	workers := w.endings.of(w.worker)
	Expect(workers).To(HaveEach(succeeded), w.tenant)
	Expect(len(workers)).To(BeNumerically(">=", rotations), "each rotation replaces the worker's pod")
	Expect(w.endings.isComplete()).To(BeTrue())
	AddReportEntry(w.tenant+", while its password changed", fmt.Sprintf(
		"%d rotations; orders: %s, all packed; worker ended %d times, runs of its schedule: %d; failed 0 of each", rotations, strings.TrimSpace(printed), len(workers), w.runs))
}

// endings are how the containers of a namespace have ended, also those of pods that are gone since.
type endings struct {
	mutex    sync.Mutex
	ended    map[string]map[string]string // by the container's name, and by its ID
	complete bool
}

// watchEndings notes how containers of a namespace end from now on.
func watchEndings(ctx SpecContext, namespace string) *endings {
	GinkgoHelper()
	events, err := cl.Watch(ctx, &corev1.PodList{}, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(events.Stop)
	found := &endings{ended: map[string]map[string]string{}, complete: true}
	go func() {
		for event := range events.ResultChan() {
			found.note(event)
		}
		found.mutex.Lock()
		defer found.mutex.Unlock()
		found.complete = false
	}()
	return found
}

func (e *endings) note(event watch.Event) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	pod, isPod := event.Object.(*corev1.Pod)
	if !isPod {
		e.complete = false
		return
	}
	for _, status := range pod.Status.ContainerStatuses {
		if e.ended[status.Name] == nil {
			e.ended[status.Name] = map[string]string{}
		}
		for _, state := range []corev1.ContainerState{status.State, status.LastTerminationState} {
			if end := state.Terminated; end != nil {
				e.ended[status.Name][end.ContainerID] = fmt.Sprintf("%s, %s, exit code %d", pod.Name, end.Reason, end.ExitCode)
			}
		}
	}
}

// of returns how the containers of this name have ended.
func (e *endings) of(name string) (ended []string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	for _, end := range e.ended[name] {
		ended = append(ended, end)
	}
	return ended
}

// isComplete reports whether no end was missed.
func (e *endings) isComplete() bool {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.complete
}

// refusals are the logins that database servers have refused, and the sessions that they have ended.
func refusals(servers []*postgres.Server) (lines []string) {
	GinkgoHelper()
	for _, server := range servers {
		content, err := os.ReadFile(server.LogPath())
		Expect(err).NotTo(HaveOccurred())
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, " FATAL: ") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
