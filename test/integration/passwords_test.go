package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// passwords collects the passwords that the operator generates while the suite runs.
type passwords struct {
	mutex sync.Mutex
	known sets.Set[string]
	watch watch.Interface
}

func watchPasswords(c client.WithWatch) (*passwords, error) {
	secrets, err := c.Watch(context.Background(), &corev1.SecretList{},
		client.MatchingLabels{"app.kubernetes.io/managed-by": "tenantry"})
	if err != nil {
		return nil, err
	}
	p := &passwords{known: sets.New[string](), watch: secrets}
	go func() {
		for event := range secrets.ResultChan() {
			if secret, ok := event.Object.(*corev1.Secret); ok && len(secret.Data["password"]) > 0 {
				p.add(string(secret.Data["password"]))
			}
		}
	}()
	return p, nil
}

func (p *passwords) stop() { p.watch.Stop() }

func (p *passwords) add(password string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.known.Insert(password)
}

// in returns the passwords that the text has in it.
func (p *passwords) in(text []byte) []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.DeleteFunc(p.known.UnsortedList(), func(password string) bool {
		return !bytes.Contains(text, []byte(password))
	})
}

// This runs last, so that it sees the logs from all specs.
var _ = AfterSuite(func(ctx SpecContext) {
	if env == nil {
		return // It did not start.
	}
	seen.mutex.Lock()
	Expect(seen.known).NotTo(BeEmpty())
	seen.mutex.Unlock()

	servers, err := filepath.Glob(filepath.Join(env.Dir, "postgres", "*", "*.log"))
	Expect(err).NotTo(HaveOccurred())
	others, err := filepath.Glob(filepath.Join(env.Dir, "*", "logs", "operator.log"))
	Expect(err).NotTo(HaveOccurred())
	for _, log := range slices.Concat(servers, others, []string{env.Operator.LogPath()}) {
		content, err := os.ReadFile(log)
		Expect(err).NotTo(HaveOccurred())
		Expect(content).NotTo(BeEmpty())
		Expect(seen.in(content)).To(BeEmpty(), "passwords in "+log)
	}
	for _, list := range []client.ObjectList{&eventsv1.EventList{}, &v1alpha1.TenantList{}, &v1alpha1.DatabaseServerList{}} {
		Expect(env.Client.List(ctx, list)).To(Succeed())
		content, err := json.Marshal(list)
		Expect(err).NotTo(HaveOccurred())
		Expect(seen.in(content)).To(BeEmpty(), "passwords in %T", list)
	}
})
