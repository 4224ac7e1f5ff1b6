package v1alpha1

import autoscalingv2 "k8s.io/api/autoscaling/v2"

// Autoscaling says how many pods an autoscaler may choose, and by which metrics it does.
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas is above maxReplicas; lower the first or raise the second"
type Autoscaling struct {
	// minReplicas is the lowest number of pods. 0 is for clusters with the feature HPAScaleToZero, which is on since
	// Kubernetes 1.37, and needs a metric of the type Object or External. Left out, it is 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas is the highest number of pods. It is required here or in the class.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxReplicas int32 `json:"maxReplicas,omitempty"`

	// metrics are what the number of pods follows, as in a HorizontalPodAutoscaler
	// (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/). The cluster must serve them. Left
	// out, it is the CPU time that the pods use on average, which is to be 80% of what they request.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Metrics []autoscalingv2.MetricSpec `json:"metrics,omitempty"`
}
