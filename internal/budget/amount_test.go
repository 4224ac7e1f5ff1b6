package budget

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestAmounts(t *testing.T) {
	for _, test := range []struct {
		name     corev1.ResourceName
		quantity string
		grain    int64
	}{
		{"pods", "20", 1},
		{"count/deployments.apps", "7", 1},
		{"requests.nvidia.com/gpu", "4", 1},
		{"requests.cpu", "1500m", 10},
		{"cpu", "2", 10},
		{"limits.memory", "16Gi", 1 << 20},
		{"requests.storage", "100G", 1 << 20},
		{"requests.ephemeral-storage", "1Ti", 1 << 20},
		{"fast.storageclass.storage.k8s.io/requests.storage", "1Ti", 1 << 20},
		{"fast.storageclass.storage.k8s.io/persistentvolumeclaims", "3", 1},
		{"hugepages-2Mi", "4Mi", 1 << 20},
	} {
		t.Run(string(test.name), func(t *testing.T) {
			want := resource.MustParse(test.quantity)
			got := quantity(test.name, amount(test.name, corev1.ResourceList{test.name: want}), want)
			if got.Cmp(want) != 0 || got.Format != want.Format || grain(test.name) != test.grain {
				t.Errorf("%s becomes %s, in steps of %d", want.String(), got.String(), grain(test.name))
			}
		})
	}
}
