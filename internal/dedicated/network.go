package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// portCloudNativePG is the port on which instances report their status to CloudNativePG.
const portCloudNativePG = 8000

// networkPolicy allows connections only from the tenant and the operator. A server that a StatefulSet runs opens
// no connections itself. CloudNativePG's instances connect to each other, to the API server and to wherever
// backups go, and its operator connects to them.
func networkPolicy(in Inputs) *networkingv1.NetworkPolicy {
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: meta(in.Server, in.Server.Name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: podLabels(in.Server)},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     []networkingv1.NetworkPolicyIngressRule{clients(in.Server)},
		},
	}
	if in.Provisioner == v1alpha1.ProvisionerCloudNativePG {
		policy.Spec.PolicyTypes = policy.Spec.PolicyTypes[:1]
		policy.Spec.Ingress = append(policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{
			From: []networkingv1.NetworkPolicyPeer{{PodSelector: &policy.Spec.PodSelector}},
		}, networkingv1.NetworkPolicyIngressRule{
			Ports: []networkingv1.NetworkPolicyPort{tcp(portCloudNativePG)},
			From:  []networkingv1.NetworkPolicyPeer{operatorOfCloudNativePG},
		})
	}
	return policy
}

// operatorOfCloudNativePG selects CloudNativePG's operator in any namespace that isn't a tenant's.
var operatorOfCloudNativePG = networkingv1.NetworkPolicyPeer{
	NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: naming.LabelTenant, Operator: metav1.LabelSelectorOpDoesNotExist},
	}},
	PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{naming.LabelAppName: "cloudnative-pg"}},
}

func clients(server *v1alpha1.DatabaseServer) networkingv1.NetworkPolicyIngressRule {
	return networkingv1.NetworkPolicyIngressRule{
		Ports: []networkingv1.NetworkPolicyPort{tcp(server.Spec.Port)},
		From: []networkingv1.NetworkPolicyPeer{
			{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{naming.LabelTenant: server.Spec.Dedicated.Tenant}}},
			{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: naming.ManagerNamespace}},
				PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{
					naming.LabelAppName: naming.ManagerAppName, naming.LabelAppComponent: naming.ManagerComponent,
				}},
			},
		},
	}
}

func tcp(port int32) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(port))}
}
