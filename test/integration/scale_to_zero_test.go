package integration

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/builders"
)

// queueServer is the API of external metrics, as KEDA and other adapters serve it. It has one metric, queue_length, for
// all namespaces.
type queueServer struct {
	length atomic.Int64
}

func (q *queueServer) ServeHTTP(response http.ResponseWriter, request *http.Request) {
	const group = "/apis/external.metrics.k8s.io/v1beta1"
	response.Header().Set("Content-Type", "application/json")
	switch request.URL.Path {
	case group:
		fmt.Fprint(response, `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": [
			{"name": "queue_length", "namespaced": true, "kind": "ExternalMetricValueList", "verbs": ["get"]}]}`)
	case group + "/namespaces/scaled-to-zero/queue_length":
		fmt.Fprintf(response, `{"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": [
			{"metricName": "queue_length", "metricLabels": {}, "timestamp": %q, "value": "%d"}]}`, time.Now().UTC().Format(time.RFC3339), q.length.Load())
	default:
		http.NotFound(response, request)
	}
}

// externalMetrics has the cluster serve external metrics until the end of the spec.
func externalMetrics(ctx context.Context) *queueServer {
	GinkgoHelper()
	queue := &queueServer{}
	server := httptest.NewTLSServer(queue)
	DeferCleanup(server.Close)
	address, err := url.Parse(server.URL)
	Expect(err).NotTo(HaveOccurred())
	kubectl(ctx, "apply", "--filename", manifest(fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: external-metrics, namespace: default}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec:
  {group: external.metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true,
  service: {namespace: default, name: external-metrics, port: %s}}
`, address.Port())))
	DeferCleanup(func(ctx SpecContext) {
		kubectl(ctx, "delete", "apiservice/v1beta1.external.metrics.k8s.io", "service/external-metrics", "--namespace=default")
	})
	kubectl(ctx, "wait", "--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io", "--timeout=60s")
	return queue
}

var _ = Describe("An app and a worker that scale to zero", func() {
	toZero := func(app *v1alpha1.TenantApp) {
		app.Workers[0].Autoscaling = &v1alpha1.Autoscaling{MinReplicas: new(int32(0)), MaxReplicas: 3, Metrics: app.Autoscaling.Metrics}
	}
	// haveEach matches a tenant of which the app and the worker have this many pods each.
	haveEach := func(replicas int32, reason, message string) OmegaMatcher {
		return And(beReady(), haveWorker("mail", replicas), HaveField("Status.App.ReadyReplicas", HaveValue(Equal(replicas))),
			haveCondition(v1alpha1.ConditionAppReady, "True", reason, message))
	}
	const none = "The app has zero replicas; 0 of 0 of its workers are available."

	It("do so when their metric says so, come back when it says more, and sleep and wake meanwhile", func(ctx SpecContext) {
		queue := externalMetrics(ctx)
		queue.length.Store(4)
		tenant := apply(ctx, bare("scaled-to-zero").App(image).Autoscaling(0, 3, queueLength("2")).ScaledWorker("mail", 3, "/worker").Workloads(toZero))
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(2, v1alpha1.ReasonReady, "2 of 2 replicas are available, and 2 of 2 of its workers."))
		history := recordReplicas(ctx, tenant, "app")
		queue.length.Store(0)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(0, v1alpha1.ReasonScaledToZero, none))
		queue.length.Store(6)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(3, v1alpha1.ReasonReady, "3 of 3 replicas are available, and 3 of 3 of its workers."))
		queue.length.Store(0)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(0, v1alpha1.ReasonScaledToZero, none))

		By("sleeping, whatever the metric says")
		change(ctx, tenant, func() { tenant.Spec.Hibernation = &v1alpha1.TenantHibernation{Suspended: new(true)} })
		Eventually(ctx, komega.Object(tenant)).Should(beAsleep())
		queue.length.Store(6)
		for _, name := range []string{"app", "mail"} {
			waitGone(ctx, in(tenant, &autoscalingv2.HorizontalPodAutoscaler{}, name))
		}
		Expect(history.seen()).To(Equal([]int32{2, 0, 3, 0}), "all numbers that it ever had")
		change(ctx, tenant, func() { tenant.Spec.Hibernation = nil })
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(3, v1alpha1.ReasonReady, "3 of 3 replicas are available"))
		queue.length.Store(0)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(0, v1alpha1.ReasonScaledToZero, none))
		Expect(history.seen()).To(Equal([]int32{2, 0, 3, 0, 1, 3, 0}))

		By("losing the autoscaler that knows why there are none")
		queue.length.Store(2)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(1, v1alpha1.ReasonReady, "1 of 1 replicas are available"))
		kubectl(ctx, "scale", "deployment/mail", "--replicas=0", "--namespace", tenant.Name)
		Eventually(ctx, komega.Object(tenant)).Should(haveCondition(v1alpha1.ConditionAppReady, "True", v1alpha1.ReasonAutoscalingInactive,
			"The number of replicas of the worker mail does not change, since its autoscaler leaves the worker mail without replicas alone if it has not scaled it to zero itself. "+
				"For it to begin, run kubectl scale --replicas=1 deployment/mail --namespace scaled-to-zero as a cluster admin."))
		kubectl(ctx, "scale", "--replicas=1", "deployment/mail", "--namespace", tenant.Name)
		Eventually(ctx, komega.Object(tenant)).Should(haveEach(1, v1alpha1.ReasonReady, "1 of 1 replicas are available"))
	}, SpecTimeout(specTimeout))

	It("need a metric that there is without pods", func(ctx SpecContext) {
		tenant := apply(ctx, builders.Tenant("scaled-to-zero-by-cpu").App(image).Autoscaling(0, 3))
		Eventually(ctx, komega.Object(tenant)).Should(stalled(v1alpha1.ReasonInvalid,
			"must specify at least one Object or External metric to support scaling to zero replicas"))
	}, SpecTimeout(specTimeout))
})
