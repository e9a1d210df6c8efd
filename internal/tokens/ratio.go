package tokens

import "sync"

// Families lists the families.
func Families() []Family { return []Family{Claude5, Claude4, GPT, Gemini, Other} }

// reference is a text of the kinds that requests are made of: it stands for one
// whose own text is not there any more.
const reference = `{"model":"m","messages":[{"role":"system","content":"You help the people who work in our shop. Answer in two or three short sentences, and say so when you do not know."},
{"role":"user","content":"Order 4471 has not arrived. It was sent on 12 November to 18 Mill Lane, and the page still says \"in transit\". What can I tell the customer, and when should we send another one?"},
{"role":"assistant","content":"Tell them that the parcel is late and that you are looking into it. If nothing has changed by Friday, send a second one: the carrier pays for it after ten working days."},
{"role":"user","content":"func total(items []Item) (sum int64) {\n\tfor _, it := range items {\n\t\tif it.Count <= 0 {\n\t\t\tcontinue // given back\n\t\t}\n\t\tsum += it.Price * int64(it.Count)\n\t}\n\treturn sum\n}\n\nWhy does this overflow for {\"price\": 1999, \"count\": 3000000}? Summarise the differences between both readings in a table with the columns name, before, after, and explain every row."}]}`

var counted = sync.OnceValue(func() map[Family]int64 {
	m := map[Family]int64{}
	for _, f := range Families() {
		m[f] = Estimate([]byte(reference), f)
	}
	return m
})

// Ratio is about how many tokens of one family a token of another is, in prose
// and code together.
func Ratio(from, to Family) float64 {
	m := counted()
	a, b := m[from], m[to]
	if a <= 0 || b <= 0 {
		return 1
	}
	return float64(b) / float64(a)
}
