package status

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/backend"
	"github.com/tenantry/tenantry/internal/condition"
)

// HostService is the Service that a server's host names.
type HostService struct {
	// Known says that the operator could find out. If not, the status keeps what it has.
	Known bool
	// Behind has its endpoints; nil if the host names no Service.
	Behind *backend.Backend
}

// behindLimit is the maximum number of addresses in the status.
const behindLimit = 64

// setService sets the Service that the host names, and the condition about endpoints that are unknown.
func setService(result *v1alpha1.DatabaseServerStatus, o ServerObservation) {
	behind := o.Service.Behind
	if !o.Service.Known {
		return
	}
	result.Service = nil
	if behind != nil && !behind.Absent {
		result.Service = &v1alpha1.DatabaseServerService{
			Namespace: behind.Namespace, Name: behind.Name, Selector: behind.Selector, ClusterIPs: behind.ClusterIPs,
			Addresses: behind.Addresses[:min(len(behind.Addresses), behindLimit)], Ports: behind.Numbers(),
		}
	}
	reason, message := peersUnknown(o.Server, behind)
	if reason == "" {
		meta.RemoveStatusCondition(&result.Conditions, v1alpha1.ConditionNetworkPeersUnknown)
		return
	}
	condition.Set(&result.Conditions, o.Server.Generation, o.Now, v1alpha1.ConditionNetworkPeersUnknown, condition.State{
		Status: metav1.ConditionTrue, Reason: reason,
		Message: message + " Tenants' pods may not reach the server until then. Or write its pods or addresses into spec.networkPeers.",
	})
}

// peersUnknown returns why the endpoints of the Service are unknown, and what to do; empty if they are known, or
// if the spec has network peers.
func peersUnknown(server *v1alpha1.DatabaseServer, behind *backend.Backend) (reason, message string) {
	if behind == nil || len(server.Spec.NetworkPeers) > 0 {
		return "", ""
	}
	name, port := behind.Namespace+"/"+behind.Name, server.Spec.Port
	switch {
	case behind.Absent:
		return v1alpha1.ReasonServiceNotFound, fmt.Sprintf("spec.host stands for the Service %s, which doesn't exist; create it, or correct spec.host.", name)
	case !behind.Offered:
		return v1alpha1.ReasonServicePortNotFound, fmt.Sprintf("spec.host stands for the Service %s, which doesn't have the port %d; add it there, or correct spec.port.", name, port)
	case len(behind.Peers()) == 0 || len(behind.Ports) == 0:
		return v1alpha1.ReasonNoEndpoints, fmt.Sprintf("spec.host stands for the Service %s, and no EndpointSlice says what is behind its port %d; correct its selector and targetPort, or wait for its pods.", name, port)
	}
	return "", ""
}
