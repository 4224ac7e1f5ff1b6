package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nodeAnnotation marks the nodes that kwok manages.
const nodeAnnotation = "kwok.x-k8s.io/node"

// nodes creates missing nodes, and returns nil once all are Ready and have no taints.
func (r *readiness) nodes(ctx context.Context) error {
	nodes := r.client.CoreV1().Nodes()
	found, err := nodes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for number := len(found.Items); number < r.nodeCount; number++ {
		created, err := nodes.Create(ctx, newNode(number+1), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		found.Items = append(found.Items, *created)
	}
	for _, node := range found.Items {
		if err := nodeReady(&node); err != nil {
			return err
		}
	}
	return nil
}

func nodeReady(node *corev1.Node) error {
	for _, taint := range node.Spec.Taints {
		return fmt.Errorf("the node %s has the taint %s", node.Name, taint.ToString())
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("the node %s is not Ready", node.Name)
}

func newNode(number int) *corev1.Node {
	name := fmt.Sprintf("node-%d", number)
	capacity := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("10k"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{nodeAnnotation: "fake"},
			Labels: map[string]string{
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
		},
		Status: corev1.NodeStatus{Capacity: capacity, Allocatable: capacity},
	}
}
