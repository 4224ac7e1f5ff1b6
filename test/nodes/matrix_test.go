package nodes

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/test/matrix"
)

// The outcomes of a connection. Packets that a policy drops are never answered: whoever sends them hears nothing,
// unlike one who calls where nobody listens.
const (
	reached = "reached"
	silent  = "silent"
)

// tyrellOwner is an owner of tyrell.
const tyrellOwner = "tyrell-owner"

// outcomes are by source, and then by destination of the matrix.
type outcomes map[string]map[string]string

// try makes all connections of the matrix that this network can carry, those of all sources at the same time.
func (s *site) try(ctx context.Context) (outcomes, error) {
	found, sources := outcomes{}, map[string][]string{}
	for _, row := range matrix.Rows() {
		for _, cell := range row {
			if s.carried(cell) {
				sources[cell.From] = append(sources[cell.From], cell.To)
			}
		}
	}
	for from := range sources {
		found[from] = map[string]string{}
	}
	var group errgroup.Group
	for from, destinations := range sources {
		group.Go(func() error {
			targets := make([]string, 0, len(destinations))
			for _, to := range destinations {
				targets = append(targets, s.target(to))
			}
			results, err := s.probe(ctx, from, targets...)
			for number, to := range destinations {
				found[from][to] = results[targets[number]]
			}
			return err
		})
	}
	return found, group.Wait()
}

// carried reports whether packets of a connection have a way at all: there is no IPv6, and only nodes know Services.
func (s *site) carried(cell matrix.Cell) bool {
	place, _ := s.destination(cell.To)
	_, known := s.addresses[place]
	return known && (cell.From != internet || place != "api-service")
}

// expected returns the outcome that the matrix asks for. Packets of a pod to itself don't leave it, so no policy is
// asked: Kubernetes says that a pod can't block what comes from itself.
func (s *site) expected(cell matrix.Cell) string {
	if place, _ := s.destination(cell.To); place == cell.From || cell.Want == matrix.Allowed {
		return reached
	}
	return silent
}

var _ = Describe("Three tenants and all around them", Ordered, ContinueOnFailure, func() {
	var here *site

	BeforeAll(func(ctx SpecContext) { here = newSite(ctx) }, NodeTimeout(specTimeout))

	It("are reached by real packets of those who should reach them, and of nobody else", func(ctx SpecContext) {
		found, err := here.try(ctx)
		Expect(err).NotTo(HaveOccurred())
		var differences []string
		for _, row := range matrix.Rows() {
			answers, tried := false, false
			for _, cell := range row {
				if !here.carried(cell) {
					continue
				}
				tried = true
				outcome := found[cell.From][cell.To]
				answers = answers || outcome == reached
				if want := here.expected(cell); outcome != want {
					differences = append(differences, fmt.Sprintf("%s should be %s, but is %q", cell, want, outcome))
				}
			}
			// Silence says nothing about policies where nobody is ever answered.
			if tried && !answers {
				differences = append(differences, row[0].To+" answers nobody")
			}
		}
		Expect(differences).To(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("find the names of Services, and reach their own", func(ctx SpecContext) {
		const other, absent, outside = "app.tyrell.svc.cluster.local:3000/TCP", "app.absent.svc.cluster.local:80/TCP", "example.com:443/TCP"
		own := []string{"app:8080/TCP", "app.duff:8080/TCP", "app.duff.svc:8080/TCP", "app.duff.svc.cluster.local:8080/TCP"}
		found, err := here.probe(ctx, "duff/own", append(own, other, absent, outside)...)
		Expect(err).NotTo(HaveOccurred())
		for _, name := range own {
			Expect(found).To(HaveKeyWithValue(name, reached))
		}
		Expect(found).To(HaveKeyWithValue(other, silent))
		Expect(found).To(HaveKeyWithValue(absent, ContainSubstring("no such host")))
		Expect(found).To(HaveKeyWithValue(outside, ContainSubstring("no such host")))
	}, SpecTimeout(specTimeout))

	It("reach themselves through a Service that has no other pod", func(ctx SpecContext) {
		found, err := here.probe(ctx, "duff/app", "app:8080/TCP")
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(HaveKeyWithValue("app:8080/TCP", reached))
	}, SpecTimeout(specTimeout))

	It("reach the kubelet of no node, neither their own pod's nor another", func(ctx SpecContext) {
		first, second := fabric.NodeAddress(1)+":10250/TCP", fabric.NodeAddress(2)+":10250/TCP"
		for _, pair := range [][2]string{{"duff/own", "tyrell/own"}, {"dns", "outsider"}} {
			Expect(here.pods[pair[0]].Spec.NodeName).NotTo(Equal(here.pods[pair[1]].Spec.NodeName))
		}
		for from, want := range map[string]string{"duff/own": silent, "tyrell/own": silent, "dns": reached, "outsider": reached} {
			found, err := here.probe(ctx, from, first, second)
			Expect(err).NotTo(HaveOccurred())
			Expect(found).To(Equal(map[string]string{first: want, second: want}), from)
		}
	}, SpecTimeout(specTimeout))

	It("reach the internet, but no metadata, with all that they may allow themselves", func(ctx SpecContext) {
		policy := func(except ...string) *networkingv1.NetworkPolicy {
			block := &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: except}
			return &networkingv1.NetworkPolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: "tyrell", Name: "all"},
				Spec: networkingv1.NetworkPolicySpec{
					PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
					Egress:      []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: block}}}},
				},
			}
		}
		owner := as(tyrellOwner)
		Expect(owner.Create(ctx, policy())).To(MatchError(ContainSubstring("opens the way to the cloud's metadata address")))
		Expect(owner.Create(ctx, policy("169.254.0.0/16"))).To(Succeed())
		public, metadata := here.target("internet:443/TCP"), here.target("metadata:80/TCP")
		Eventually(ctx, func() (map[string]string, error) { return here.probe(ctx, "tyrell/own", public, metadata) }).
			Should(Equal(map[string]string{public: reached, metadata: silent}))
		Expect(here.probe(ctx, "outsider", metadata)).To(Equal(map[string]string{metadata: reached}))
	}, SpecTimeout(specTimeout))

	It("are closed to a new pod of another, whose egress is open until its address is known", func(ctx SpecContext) {
		pod := matrix.Pod("duff", "fresh", nil)
		open := []string{"internet:443/TCP", "metadata:80/TCP", "api-service:443/TCP", "node:10250/TCP"}
		closed := []string{"tyrell/own:3000/TCP", "soylent/own:8080/TCP"}
		var addresses []string
		for _, to := range append(open, closed...) {
			addresses = append(addresses, strings.TrimSuffix(here.target(to), "/TCP"))
		}
		pod.Spec.Containers[0].Image, pod.Spec.Containers[0].Args = peer, append([]string{"watch"}, addresses...)
		createForContainer(ctx, pod)
		var printed string
		Eventually(ctx, func() (string, error) {
			var err error
			printed, err = kubectl(ctx, "logs", "--namespace="+pod.Namespace, pod.Name)
			return printed, err
		}).Should(ContainSubstring("kept"))
		AddReportEntry("the first moments of a pod", printed)
		for _, address := range addresses[len(open):] {
			Expect(printed).To(ContainSubstring(address + " made 0 "))
		}
	}, SpecTimeout(specTimeout))
})
