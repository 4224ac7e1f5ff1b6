package answer

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Prices is what a provider charges.
type Prices struct {
	// Currency is a code of ISO 4217, such as EUR.
	Currency string `json:"currency"`
	// Prices are those of a unit of each service, by its ID.
	Prices map[string]float64 `json:"prices"`
	// Classes has the prices for tenants of a class, by the name of the class. What it leaves out is as in prices.
	Classes map[string]map[string]float64 `json:"classes"`
}

var currency = regexp.MustCompile(`^[A-Z]{3}$`)

// ParsePrices reads a file with prices.
func ParsePrices(content []byte) (*Prices, error) {
	prices := &Prices{}
	if err := yaml.UnmarshalStrict(content, prices); err != nil {
		return nil, fmt.Errorf("it isn't a list of prices: %w", err)
	}
	if !currency.MatchString(prices.Currency) {
		return nil, fmt.Errorf("currency is %q; write its code of three letters, such as EUR", prices.Currency)
	}
	if err := checkPrices("prices", prices.Prices); err != nil {
		return nil, err
	}
	for _, class := range slices.Sorted(maps.Keys(prices.Classes)) {
		if err := checkPrices("classes."+class, prices.Classes[class]); err != nil {
			return nil, err
		}
	}
	return prices, nil
}

func checkPrices(field string, prices map[string]float64) error {
	var known []string
	for _, service := range Services {
		known = append(known, service.ID)
	}
	for _, id := range slices.Sorted(maps.Keys(prices)) {
		switch {
		case !slices.Contains(known, id):
			return fmt.Errorf("%s.%s is the price of nothing; there are %s", field, id, strings.Join(known, ", "))
		case prices[id] < 0:
			return fmt.Errorf("%s.%s is %v; write 0 or more", field, id, prices[id])
		}
	}
	return nil
}

// of returns the price of a unit for tenants of a class, and whether there is one. It is false without prices.
func (p *Prices) of(service *Service, class string) (price float64, known bool) {
	if p == nil {
		return 0, false
	}
	if price, known = p.Classes[class][service.ID]; !known {
		price, known = p.Prices[service.ID]
	}
	return price, known
}
