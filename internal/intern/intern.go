// Package intern lets objects that are only read share the parts in which they are equal. What a tenant
// has looks much like what all others have, and the cache holds all of it.
package intern

import (
	"hash/maphash"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// parts and texts are how many parts and strings of late are remembered. An older one takes up memory
	// of its own when it comes again, and nothing else happens.
	parts, texts = 1 << 13, 1 << 12
	// shortText is how long a string is that isn't worth looking up.
	shortText = 8
)

// Pool remembers parts of objects. The zero value is ready to use.
type Pool struct {
	mutex sync.Mutex
	parts [parts]any
	texts [texts]string
}

var seed = maphash.MakeSeed()

// Share makes the object that a pointer leads to share with those before it what is equal: strings,
// slices, maps, and what pointers lead to. None of them may be changed from then on.
func (p *Pool) Share(object any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.share(reflect.ValueOf(object).Elem())
}

// share returns a hash of the value, which is the same for those that are equal.
func (p *Pool) share(value reflect.Value) uint64 {
	switch value.Kind() {
	case reflect.String:
		return p.shareText(value)
	case reflect.Pointer:
		if value.IsNil() {
			return 0
		}
		return p.remembered(value, mix(1, p.share(value.Elem())))
	case reflect.Struct:
		return p.shareStruct(value)
	case reflect.Slice:
		return p.shareSlice(value)
	case reflect.Map:
		return p.shareMap(value)
	default:
		if value.Comparable() && value.CanInterface() {
			return maphash.Comparable(seed, value.Interface())
		}
		return 0
	}
}

func (p *Pool) shareText(value reflect.Value) uint64 {
	text := value.String()
	hash := maphash.String(seed, text)
	if len(text) <= shortText {
		return hash
	}
	known := &p.texts[hash%texts]
	if *known != text {
		*known = text
	}
	value.SetString(*known)
	return hash
}

// shareStruct leaves a struct as it is that hides its fields.
func (p *Pool) shareStruct(value reflect.Value) uint64 {
	switch whole := value.Interface().(type) {
	case resource.Quantity:
		return maphash.String(seed, whole.String())
	case time.Time:
		return maphash.Comparable(seed, whole.UnixNano())
	}
	hash := uint64(2)
	for field, below := range value.Fields() {
		if field.IsExported() {
			hash = mix(hash, p.share(below))
		}
	}
	return hash
}

func (p *Pool) shareSlice(value reflect.Value) uint64 {
	if value.Len() == 0 {
		return 0
	}
	if value.Type().Elem().Kind() == reflect.Uint8 {
		return p.remembered(value, maphash.Bytes(seed, value.Bytes()))
	}
	hash := uint64(3)
	for i := range value.Len() {
		hash = mix(hash, p.share(value.Index(i)))
	}
	return p.remembered(value, hash)
}

func (p *Pool) shareMap(value reflect.Value) uint64 {
	if value.Len() == 0 {
		return 0
	}
	var hash uint64 // of all entries, in whatever order
	for entries := value.MapRange(); entries.Next(); {
		key, item := reflect.New(value.Type().Key()).Elem(), reflect.New(value.Type().Elem()).Elem()
		key.Set(entries.Key())
		item.Set(entries.Value())
		hash += mix(p.share(key), p.share(item))
		value.SetMapIndex(key, item)
	}
	return p.remembered(value, hash)
}

// remembered replaces a value by an equal one that is remembered, or remembers it.
func (p *Pool) remembered(value reflect.Value, hash uint64) uint64 {
	known := &p.parts[hash%parts]
	if reflect.TypeOf(*known) == value.Type() && reflect.DeepEqual(*known, value.Interface()) {
		value.Set(reflect.ValueOf(*known))
	} else {
		*known = value.Interface()
	}
	return hash
}

func mix(a, b uint64) uint64 { return maphash.Comparable(seed, [2]uint64{a, b}) }
