// Package parcel is the language of Milepost: shipments, legs, events,
// moments, places, money, and the rules that turn what carriers say into one
// journey. Everything here is pure: no I/O, no clock, no SQL, no GraphQL. A
// rule that needs the present is handed it.
package parcel
