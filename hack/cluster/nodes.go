package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/hack/node"
)

const (
	// nodeAnnotation marks the nodes that kwok manages.
	nodeAnnotation = "kwok.x-k8s.io/node"
	fakeNode       = "fake"
)

// FakeTaint keeps pods that don't tolerate it off fake nodes, if there are real ones.
var FakeTaint = corev1.Taint{Key: nodeAnnotation, Value: fakeNode, Effect: corev1.TaintEffectNoSchedule}

// fakeNodes creates missing nodes, and returns nil once all are Ready.
func (r *readiness) fakeNodes(ctx context.Context) error {
	nodes := r.client.CoreV1().Nodes()
	for number := range r.fake {
		found, err := nodes.Get(ctx, fakeName(number+1), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			found, err = nodes.Create(ctx, r.newNode(number+1), metav1.CreateOptions{})
		}
		if err != nil {
			return err
		}
		if err := nodeReady(found); err != nil {
			return err
		}
	}
	return nil
}

// realNodes returns nil once the kubelets have registered their nodes, and all are Ready.
func (r *readiness) realNodes(ctx context.Context) error {
	for number := range r.real {
		found, err := r.client.CoreV1().Nodes().Get(ctx, node.Name(number+1), metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := nodeReady(found); err != nil {
			return err
		}
	}
	return nil
}

func nodeReady(found *corev1.Node) error {
	for _, taint := range found.Spec.Taints {
		if taint != FakeTaint {
			return fmt.Errorf("the node %s has the taint %s", found.Name, taint.ToString())
		}
	}
	for _, condition := range found.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("the node %s is not Ready", found.Name)
}

func fakeName(number int) string { return fmt.Sprintf("node-%d", number) }

func (r *readiness) newNode(number int) *corev1.Node {
	name := fakeName(number)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("10k"),
	}
	var taints []corev1.Taint
	if r.real > 0 {
		taints = []corev1.Taint{FakeTaint}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{nodeAnnotation: fakeNode},
			Labels: map[string]string{
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
		},
		Spec:   corev1.NodeSpec{Taints: taints},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}
