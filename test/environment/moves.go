package environment

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Moves is the order in which apps get other images, and tenants are Ready with them, as the API server has it.
type Moves struct {
	mutex  sync.Mutex
	prefix string
	events []event
}

// event is that an app has an image, or that a tenant is Ready with it.
type event struct {
	version       int
	tenant, image string
	ready         bool
}

// FollowMoves records the moves of the tenants whose names begin with a prefix, until the spec ends.
func (e *Environment) FollowMoves(prefix string) *Moves {
	ginkgo.GinkgoHelper()
	m := &Moves{prefix: prefix}
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &v1alpha1.TenantList{}} {
		watched, err := e.Client.Watch(context.Background(), list)
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		ginkgo.DeferCleanup(watched.Stop)
		go func() {
			for event := range watched.ResultChan() {
				m.note(event)
			}
		}()
	}
	return m
}

func (m *Moves) note(told watch.Event) {
	object, isObject := told.Object.(client.Object)
	if !isObject || told.Type == watch.Deleted {
		return
	}
	var noted event
	switch object := object.(type) {
	case *appsv1.Deployment:
		noted = event{tenant: object.Namespace, image: object.Spec.Template.Spec.Containers[0].Image}
	case *v1alpha1.Tenant:
		if object.Status.App == nil || !apimeta.IsStatusConditionTrue(object.Status.Conditions, v1alpha1.ConditionReady) {
			return
		}
		noted = event{tenant: object.Name, image: object.Status.App.Image, ready: true}
	}
	if !strings.HasPrefix(noted.tenant, m.prefix) {
		return
	}
	noted.version, _ = strconv.Atoi(object.GetResourceVersion())
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.events = append(m.events, noted)
}

// Replay returns the tenants in the order in which their apps got each image in place of another one, and the largest
// number of tenants at any moment whose app had got an image with which the tenant had not been Ready yet.
func (m *Moves) Replay() (order map[string][]string, most int) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	slices.SortFunc(m.events, func(a, b event) int { return a.version - b.version })
	order = map[string][]string{}
	has, away := map[string]string{}, map[string]bool{}
	for _, event := range m.events {
		switch former := has[event.tenant]; {
		case event.ready && former == event.image:
			delete(away, event.tenant)
		case event.ready || former == event.image:
		case former == "":
			has[event.tenant] = event.image
		default:
			has[event.tenant] = event.image
			away[event.tenant] = true
			most = max(most, len(away))
			order[event.image] = append(order[event.image], event.tenant)
		}
	}
	return order, most
}
