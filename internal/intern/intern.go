// Package intern lets read-only objects share equal parts. The objects of all tenants are much alike, and the
// cache has all of them.
package intern

import (
	"hash/maphash"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// parts and texts are the numbers of sets for remembered parts and strings, and ways is the number of entries of
	// each set. A value that was forgotten just takes memory again when it recurs.
	parts, texts, ways = 1 << 11, 1 << 10, 4
	// shortText is the length up to which strings aren't worth looking up.
	shortText = 8
)

// Pool remembers parts of objects. The zero value is ready to use.
type Pool struct {
	mutex sync.Mutex
	parts [parts]set[any]
	texts [texts]set[string]
}

// set has the values that were seen last, the most recent one first.
type set[T any] [ways]T

// get returns an entry that is the same, or else adds the result of makeOne.
func (s *set[T]) get(same func(T) bool, makeOne func() T) T {
	at := slices.IndexFunc(s[:], same)
	found := s[max(at, 0)]
	if at < 0 {
		at, found = ways-1, makeOne()
	}
	copy(s[1:at+1], s[:at])
	s[0] = found
	return found
}

var seed = maphash.MakeSeed()

// Share makes an object, given by a pointer, share its strings, slices, maps and pointers with equal ones of
// earlier objects. None of them may be changed afterwards. Share doesn't change them either, but creates new ones,
// since it may get an object twice while others read what it shares.
func (p *Pool) Share(object any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	value := reflect.ValueOf(object).Elem()
	value.Set(p.shared(value))
}

// shared returns an equal value that shares what it can.
func (p *Pool) shared(value reflect.Value) reflect.Value {
	switch value.Kind() {
	case reflect.String:
		return p.sharedText(value)
	case reflect.Struct:
		return p.sharedStruct(value)
	case reflect.Pointer, reflect.Slice, reflect.Map:
	default:
		return value
	}
	if value.IsNil() || value.Kind() != reflect.Pointer && value.Len() == 0 {
		return value
	}
	whole := value.Interface()
	return reflect.ValueOf(p.parts[hash(value)%parts].get(
		func(known any) bool { return reflect.DeepEqual(known, whole) },
		func() any { return p.rebuilt(value).Interface() },
	))
}

func (p *Pool) sharedText(value reflect.Value) reflect.Value {
	text := value.String()
	if len(text) <= shortText {
		return value
	}
	known := p.texts[maphash.String(seed, text)%texts].get(
		func(known string) bool { return known == text },
		func() string { return text },
	)
	return reflect.ValueOf(known).Convert(value.Type())
}

// sharedStruct doesn't change unexported fields.
func (p *Pool) sharedStruct(value reflect.Value) reflect.Value {
	result := reflect.New(value.Type()).Elem()
	result.Set(value)
	for field, below := range result.Fields() {
		if field.IsExported() {
			below.Set(p.shared(below))
		}
	}
	return result
}

// rebuilt returns a new pointer, slice or map whose content is shared.
func (p *Pool) rebuilt(value reflect.Value) reflect.Value {
	switch value.Kind() {
	case reflect.Pointer:
		result := reflect.New(value.Type().Elem())
		result.Elem().Set(p.shared(value.Elem()))
		return result
	case reflect.Map:
		result := reflect.MakeMapWithSize(value.Type(), value.Len())
		for entries := value.MapRange(); entries.Next(); {
			result.SetMapIndex(p.shared(entries.Key()), p.shared(entries.Value()))
		}
		return result
	default:
		result := reflect.MakeSlice(value.Type(), value.Len(), value.Len())
		reflect.Copy(result, value)
		if value.Type().Elem().Kind() != reflect.Uint8 {
			for i := range value.Len() {
				result.Index(i).Set(p.shared(value.Index(i)))
			}
		}
		return result
	}
}

// hash returns the same for values that are equal.
func hash(value reflect.Value) uint64 {
	switch value.Kind() {
	case reflect.String:
		return maphash.String(seed, value.String())
	case reflect.Pointer:
		if value.IsNil() {
			return 0
		}
		return mix(1, hash(value.Elem()))
	case reflect.Struct:
		return hashOfStruct(value)
	case reflect.Slice:
		return hashOfSlice(value)
	case reflect.Map:
		var sum uint64 // of all entries, in whatever order
		for entries := value.MapRange(); entries.Next(); {
			sum += mix(hash(entries.Key()), hash(entries.Value()))
		}
		return sum
	default:
		if value.Comparable() && value.CanInterface() {
			return maphash.Comparable(seed, value.Interface())
		}
		return 0
	}
}

func hashOfStruct(value reflect.Value) uint64 {
	switch whole := value.Interface().(type) {
	case resource.Quantity:
		return maphash.String(seed, whole.String())
	case time.Time:
		return maphash.Comparable(seed, whole.UnixNano())
	}
	sum := uint64(2)
	for field, below := range value.Fields() {
		if field.IsExported() {
			sum = mix(sum, hash(below))
		}
	}
	return sum
}

func hashOfSlice(value reflect.Value) uint64 {
	if value.Type().Elem().Kind() == reflect.Uint8 {
		return maphash.Bytes(seed, value.Bytes())
	}
	sum := uint64(3)
	for i := range value.Len() {
		sum = mix(sum, hash(value.Index(i)))
	}
	return sum
}

func mix(a, b uint64) uint64 { return maphash.Comparable(seed, [2]uint64{a, b}) }
