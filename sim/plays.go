package sim

import (
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// The routes of the plays.
const (
	ruPost  = "CN-RU-POSTAL"
	ruLine  = "CN-RU-LINE"
	ruHouse = "RU-RU-WAREHOUSE"
	brPost  = "CN-BR-POSTAL"
	brHouse = "BR-BR-WAREHOUSE"
	usLine  = "CN-US-LINE"
	usHouse = "US-US-WAREHOUSE"
	dePost  = "CN-DE-POSTAL"
	auLine  = "CN-AU-LINE"
)

// plays are all scenarios. The place of each in the list makes its numbers:
// add at the end. Days count from the start of the network.
func plays() []play {
	return []play{
		{"SIM-DATE-ONLY-ETA-US-01", []int{1}, usHouse, upsName, "",
			"The carrier estimates a day and no time: the day stays that day in every zone.", func(s *story) {
				s.shipped(0, -1.1)
				s.lead().estimate, s.lead().estimated = s.at(2.4), s.at(-2)
				s.toDoor(0, 2.4)
			}},
		{"SIM-NO-ZONE-BR-01", []int{2}, brHouse, correios, "",
			"Times without a zone, by the clock of Brasília in a town that keeps another: the certainty says how the offset is known.", func(s *story) {
				s.j.to = &s.far.towns[7] // Manaus
				s.shipped(0, -.6)
				s.toDoor(0, 1.3)
			}},
		{"SIM-MIXED-ZONES-US-01", []int{3}, usHouse, upsName, "",
			"One answer tells scans of three zones beside dates of none: only scans carry an offset.", func(s *story) {
				s.j.to = &s.far.towns[2] // Chicago
				s.shipped(0, -.9)
				s.tell(0, -.5, parcel.CodeInTransit, &s.far.towns[7])
				s.lead().estimate, s.lead().estimated = s.at(1.2), s.at(-3)
				s.toDoor(0, 1.2)
			}},
		{"SIM-MIDNIGHT-CN-01", []int{4}, usLine, cainiao, "",
			"A scan half an hour after midnight in China, when it is still the day before in UTC: the local day is kept.", func(s *story) {
				s.lined(0, -.6)
				y, m, d := s.at(-1.6).In(s.j.from.zone).Date()
				s.tell(0, -1.6, parcel.CodeHandedToLinehaul, s.out).at = time.Date(y, m, d, 0, 30, 0, 0, s.j.from.zone).UTC()
				ups := s.then(upsName, parcel.StageLastMile)
				s.handOn(0, ups)
				s.landed(0, 4)
				s.toDoor(ups, 8.4)
			}},
		{"SIM-CLOCK-JUMPS-BACK-BR-01", []int{6}, brPost, cainiao, "",
			"The wall clock jumps back nine hours when the parcel changes zone: the order is by instant.", func(s *story) {
				s.lined(0, -6)
				s.tell(0, -6.1, parcel.CodeImportCustomsPresented, s.in)
				post := s.then(correios, parcel.StageLastMile)
				s.handOn(0, post)
				s.landed(0, 3)
				s.toDoor(post, 9.2)
			}},
		{"SIM-TOLD-WITHOUT-CITY-RU-01", []int{7}, ruHouse, russianPost, "",
			"A scan is told first with the country alone and a day later with the city: one event, not two.", func(s *story) {
				s.tell(0, -1.9, parcel.CodePickedUp, &s.far.towns[0])
				s.tell(0, -.4, parcel.CodeInTransit, &s.far.towns[0]).vagueUntil = s.at(.8)
				s.tell(0, 2.6, parcel.CodeReadyForPickup, s.j.to)
				s.tell(0, 4.3, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-REGISTERED-TWICE-US-01", []int{8}, usHouse, upsName, "",
			"The merchant registers the same parcel again: one shipment, unchanged.", func(s *story) {
				s.shipped(0, -.3)
				s.toDoor(0, 3.1)
				s.second = append(s.second, register{s.at(.3), s.j, s.j.scenario.Name}, register{s.at(.6), s.j, s.j.scenario.Name})
			}},
		{"SIM-RECYCLED-NUMBER-RU-01", []int{9}, ruPost, upuPostal, "",
			"A postal number as it was used fourteen months ago: that parcel keeps its own events.", func(s *story) {
				s.posted(0, -425)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, -408)
				s.tell(post, -400.4, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, -398.2, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-RECYCLED-NUMBER-RU-02", []int{9}, ruPost, upuPostal, "SIM-RECYCLED-NUMBER-RU-01",
			"The same postal number a year later: a new parcel, which does not begin as delivered.", func(s *story) {
				s.posted(0, -9)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, 4)
				s.tell(post, 9.4, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, 11.2, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-NUMBER-CORRECTED-US-01", []int{10, 40}, usHouse, upsName, "",
			"The merchant registered another parcel's number and corrects it: the old events stay on the old leg.", func(s *story) {
				right := s.then(upsName, "")
				s.j.legs[right].number, s.j.legs[right].undeclared = ups("SIM002", "03", uint64(s.index)+1), true
				s.tell(0, -1.8, parcel.CodePickedUp, s.j.from)
				s.tell(0, -.9, parcel.CodeInTransit, &s.far.towns[3])
				s.shipped(right, .2)
				s.toDoor(right, 3.4)
				s.correct(s.j.legs[0], s.j.legs[right], .9)
			}},
		{"SIM-PUSHED-TWICE-US-01", []int{11}, usHouse, upsName, "",
			"Every push comes twice: each scan stands once in the timeline.", func(s *story) {
				s.lead().pushTwice = true
				s.shipped(0, .4)
				s.toDoor(0, 2.2)
			}},
		{"SIM-UNKNOWN-IN-BATCH-BR-01", []int{12}, brHouse, correios, "",
			"A number that the carrier never knows, asked for among others in one call: the others keep their answers.", func(s *story) {
				s.j.registered = s.at(-4)
			}},
		{"SIM-ASKED-BY-MANY-US-01", []int{13}, usHouse, upsName, "",
			"The carrier takes two seconds to answer for this number: who asks meanwhile joins the call.", func(s *story) {
				s.lead().trouble = trouble{troubleSlow, 1000}
				s.shipped(0, -.2)
				s.toDoor(0, 2.8)
			}},
		{"SIM-LATE-SCAN-RU-01", []int{14}, ruPost, upuPostal, "",
			"A sorting scan of three days ago is told after the delivery: delivered it stays.", func(s *story) {
				s.posted(0, -31)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, -12)
				s.tell(post, -6.2, parcel.CodeDestinationHubProcessed, &s.far.hub).told = s.at(1.1)
				s.tell(post, -3.1, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, -.4, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-TWO-PARCELS-US-01", []int{14}, usHouse, upsName, "",
			"An order in two parcels, the first: news of the second changes nothing here.", func(s *story) {
				s.j.sharedOrder = "SIM-ORDER-TWO-PARCELS"
				s.shipped(0, -1.2)
				s.toDoor(0, .3)
			}},
		{"SIM-TWO-PARCELS-US-02", []int{14}, usHouse, upsName, "",
			"An order in two parcels, the second, two days behind the first.", func(s *story) {
				s.j.sharedOrder = "SIM-ORDER-TWO-PARCELS"
				s.shipped(0, .7)
				s.toDoor(0, 2.3)
			}},
		{"SIM-OUT-AFTER-DELIVERY-US-01", []int{15}, usHouse, upsName, "",
			"Out for delivery is scanned minutes after the delivery: the milestone stays delivered.", func(s *story) {
				s.shipped(0, -.8)
				s.toDoor(0, .5)
				s.tell(0, .505, parcel.CodeOutForDelivery, s.j.to)
			}},
		{"SIM-LEGS-OVERLAP-BR-01", []int{16}, brPost, cainiao, "",
			"The post is heard before the line's last word, and the line repeats the delivery: legs in order, one delivery.", func(s *story) {
				s.lined(0, -22)
				post := s.then(correios, parcel.StageLastMile)
				s.handOn(0, post)
				s.tell(post, -7.3, parcel.CodeDestinationCountryArrived, s.in)
				s.landed(0, -6)
				s.tell(post, -5.1, parcel.CodeDestinationHubProcessed, &s.far.hub)
				s.tell(0, -3.2, parcel.CodeLastMileAccepted, &s.far.hub)
				s.toDoor(post, 1.4)
				s.tell(0, 1.42, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-LABEL-ONLY-US-01", []int{17, 37}, usHouse, upsName, "",
			"A label and nothing else for nine days: registered, never in transit, and somebody should look.", func(s *story) {
				s.tell(0, -9.2, parcel.CodeInfoReceived, s.j.from)
			}},
		{"SIM-STATION-SIGNED-AU-01", []int{18, 19}, auLine, cainiao, "",
			"The pickup station signs for the parcel: it waits to be collected and is not delivered.", func(s *story) {
				s.lined(0, -21)
				s.landed(0, -5)
				s.tell(0, -4.1, parcel.CodeLastMileAccepted, &s.far.hub)
				s.tell(0, -.7, parcel.CodeReadyForPickup, s.j.to).deliveredTo = parcel.DeliveredToPickupPoint
				s.tell(0, 5.2, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-PREDECLARED-BR-01", []int{18}, brPost, cainiao, "",
			"Import clearance begins on paper before the parcel has left: no milestone moves.", func(s *story) {
				s.tell(0, -3.1, parcel.CodeInfoReceived, s.j.from)
				s.tell(0, -2.2, parcel.CodePickedUp, s.j.from)
				s.tell(0, -.6, parcel.CodeImportCustomsPresented, s.in)
				s.tell(0, 2.3, parcel.CodeOriginCountryDeparted, s.out)
				post := s.then(correios, parcel.StageLastMile)
				s.handOn(0, post)
				s.landed(0, 16)
				s.toDoor(post, 22.4)
			}},
		{"SIM-PICKUP-POINT-US-01", []int{19}, usHouse, upsName, "",
			"The carrier writes delivered, to an access point: ready for pickup until the buyer has it.", func(s *story) {
				s.shipped(0, -1.4)
				s.tell(0, -.3, parcel.CodeReadyForPickup, s.j.to).deliveredTo = parcel.DeliveredToPickupPoint
				s.tell(0, 3.6, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-FROZEN-RU-01", []int{20, 21}, ruPost, upuPostal, "",
			"The post shows nothing for three weeks and then everything at once, a delivery among it.", func(s *story) {
				s.posted(0, -41)
				post := s.then(russianPost, parcel.StageLastMile)
				from := len(s.j.scans)
				s.landed(post, -18)
				s.tell(post, -9.3, parcel.CodeDestinationHubProcessed, &s.far.hub)
				s.tell(post, -5.2, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, -2.1, parcel.CodeDelivered, s.j.to)
				for i := from; i < len(s.j.scans); i++ {
					s.j.scans[i].told = s.at(1.6)
				}
			}},
		{"SIM-PUSH-LATE-US-01", []int{21}, usHouse, upsName, "",
			"Pushes come six hours after the scans: the lag is measured and shown.", func(s *story) {
				s.lead().pushLate = 6 * time.Hour
				s.shipped(0, .6)
				s.toDoor(0, 2.5)
			}},
		{"SIM-SEEN-AGAIN-DE-01", []int{22, 28}, dePost, upuPostal, "",
			"Silent for a hundred days, then it moves again: nothing was given up.", func(s *story) {
				s.posted(0, -104)
				s.landed(0, 2.2)
				s.tell(0, 3.6, parcel.CodeDeliveryOfficeArrived, s.j.to)
				s.toDoor(0, 4.4)
			}},
		{"SIM-FRESH-LABEL-US-01", []int{23}, usHouse, upsName, "",
			"The carrier does not know the number until two days after it was registered: a state of health, not an error.", func(s *story) {
				s.j.registered = s.at(-.8)
				s.tell(0, -.7, parcel.CodeInfoReceived, s.j.from).told = s.at(1.2)
				s.tell(0, 1.1, parcel.CodePickedUp, s.j.from)
				s.tell(0, 2.3, parcel.CodeInTransit, s.j.to)
				s.toDoor(0, 3.7)
			}},
		{"SIM-EMPTY-TIMELINE-CN-01", []int{24}, auLine, cainiao, "",
			"The carrier answers without a single scan: an empty timeline everywhere, and no crash.", func(s *story) {
				s.j.registered = s.at(-1.5)
				s.lead().known = s.at(-1.2)
			}},
		{"SIM-RELABELLED-AU-01", []int{27}, auLine, cainiao, "",
			"The parcel gets another number on the way and the old one falls silent: a change of number, and one journey.", func(s *story) {
				s.lined(0, -18)
				second := s.then(cainiao, parcel.StageLastMile)
				s.j.legs[second].number = "LP01" + s.lead().number[4:]
				s.handOn(0, second)
				s.landed(0, -1)
				s.tell(0, .4, parcel.CodeLastMileAccepted, &s.far.hub)
				s.tell(second, 1.5, parcel.CodeDestinationHubProcessed, &s.far.hub)
				s.toDoor(second, 4.3)
			}},
		{"SIM-SILENT-BORDER-BR-01", []int{28, 44}, brPost, cainiao, "",
			"Nothing for nine days between two carriers, then the post goes on under its own number: between carriers, not stuck.", func(s *story) {
				s.lined(0, -30)
				post := s.then(correios, parcel.StageLastMile)
				s.handOn(0, post)
				s.tell(0, -8.1, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(0, -7.6, parcel.CodeImportCustomsReleased, s.in)
				s.tell(0, -7.2, parcel.CodeLastMileAccepted, s.in)
				s.tell(post, 2.2, parcel.CodeDestinationHubProcessed, &s.far.hub)
				s.toDoor(post, 6.3)
			}},
		{"SIM-NO-CARRIER-NAMED-RU-01", []int{29, 40}, ruPost, upuPostal, "",
			"Registered by number alone: the carriers that it may be of are ranked, and the likeliest is asked.", func(s *story) {
				s.lead().declaredAs = new(string)
				s.posted(0, -3)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, 9)
				s.tell(post, 13.4, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, 14.6, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-WRONG-CARRIER-DE-01", []int{29, 40}, dePost, upuPostal, "",
			"Registered with a carrier that does not know the number: others whose form it has are asked, until the merchant names the right one.", func(s *story) {
				wrong := russianPost
				s.lead().declaredAs = &wrong
				s.posted(0, -6)
				s.landed(0, 7)
				s.tell(0, 10.2, parcel.CodeDeliveryOfficeArrived, s.j.to)
				s.toDoor(0, 11.3)
				s.correct(leg{carrier: wrong, number: s.lead().number}, *s.lead(), 1.4)
			}},
		{"SIM-TOLD-BY-TWO-RU-01", []int{31, 16}, ruPost, upuPostal, "",
			"Two posts tell the same arrival and the same delivery: one milestone each, told once.", func(s *story) {
				s.posted(0, -26)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, -1.2)
				s.tell(0, -1.9, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(0, -1.19, parcel.CodeImportCustomsReleased, s.in)
				s.tell(post, 3.1, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, 4.2, parcel.CodeDelivered, s.j.to)
				s.tell(0, 4.21, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-NO-PLACE-RU-01", []int{33}, ruHouse, russianPost, "",
			"Scans without any place: times are kept with what is known of their zone.", func(s *story) {
				s.tell(0, -2.2, parcel.CodePickedUp, nil)
				s.tell(0, -1.1, parcel.CodeInTransit, nil)
				s.tell(0, 1.4, parcel.CodeReadyForPickup, nil)
				s.tell(0, 2.7, parcel.CodeDelivered, nil)
			}},
		{"SIM-UNKNOWN-CODE-RU-01", []int{34}, ruHouse, russianPost, "",
			"A code that nobody mapped: kept with the carrier's own words, and no milestone moves.", func(s *story) {
				s.tell(0, -2.4, parcel.CodePickedUp, s.j.from)
				s.tell(0, -1.2, parcel.CodeUnknown, &s.far.hub)
				s.tell(0, .9, parcel.CodeUnknown, s.j.to)
				s.tell(0, 2.1, parcel.CodeReadyForPickup, s.j.to)
				s.tell(0, 3.2, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-HTML-ANSWER-US-01", []int{35}, usHouse, upsName, "",
			"The first two calls are answered by a web page: the carrier's trouble, told as such, and over with the third.", func(s *story) {
				s.lead().trouble = trouble{troubleHTML, 2}
				s.shipped(0, -.4)
				s.toDoor(0, 2.6)
			}},
		{"SIM-CUT-ANSWER-US-01", []int{35}, usHouse, upsName, "",
			"The first two answers end in the middle: nothing half-read is kept as the truth.", func(s *story) {
				s.lead().trouble = trouble{troubleTruncated, 2}
				s.shipped(0, -.5)
				s.toDoor(0, 2.7)
			}},
		{"SIM-BUSY-CARRIER-RU-01", []int{35}, ruHouse, russianPost, "",
			"The carrier says too many requests, twice: it is asked again when it wants to be.", func(s *story) {
				s.lead().trouble = trouble{troubleBusy, 2}
				s.tell(0, -1.7, parcel.CodePickedUp, s.j.from)
				s.tell(0, 1.9, parcel.CodeReadyForPickup, s.j.to)
				s.tell(0, 3.4, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-FAILING-CARRIER-US-01", []int{35}, usHouse, upsName, "",
			"The carrier fails twice with status 503: what is known is shown with its age.", func(s *story) {
				s.lead().trouble = trouble{troubleFailing, 2}
				s.shipped(0, -.6)
				s.toDoor(0, 2.9)
			}},
		{"SIM-CUSTOMS-HOLD-RU-01", []int{37}, ruPost, upuPostal, "",
			"Held by Russian customs for inspection, released a week later.", func(s *story) {
				s.posted(0, -24)
				post := s.then(russianPost, parcel.StageLastMile)
				s.tell(post, -5.2, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(post, -4.9, parcel.CodeImportCustomsPresented, s.in)
				s.tell(post, -4.1, parcel.CodeImportCustomsHeld, s.in).reason = parcel.ReasonInspection
				s.tell(post, 2.8, parcel.CodeImportCustomsReleased, s.in)
				s.tell(post, 6.3, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, 8.1, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-DUTY-DUE-BR-01", []int{37}, brPost, cainiao, "",
			"Brazil wants its duty before it lets the parcel go: the buyer must act.", func(s *story) {
				s.lined(0, -28)
				post := s.then(correios, parcel.StageLastMile)
				s.handOn(0, post)
				s.tell(0, -3.2, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(0, -2.9, parcel.CodeImportCustomsPresented, s.in)
				s.tell(0, -1.3, parcel.CodeCustomsDutyDue, s.in).reason = parcel.ReasonDutyUnpaid
				s.tell(0, 3.2, parcel.CodeImportCustomsReleased, s.in)
				s.tell(0, 3.6, parcel.CodeLastMileAccepted, &s.far.hub)
				s.toDoor(post, 9.4)
			}},
		{"SIM-DOCUMENTS-RU-01", []int{37}, ruPost, upuPostal, "",
			"Customs want papers that nobody sent: held until the buyer gives his tax number.", func(s *story) {
				s.posted(0, -27)
				post := s.then(russianPost, parcel.StageLastMile)
				s.tell(post, -3.2, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(post, -2.8, parcel.CodeImportCustomsPresented, s.in)
				s.tell(post, -2.1, parcel.CodeCustomsDocumentsRequired, s.in).reason = parcel.ReasonDocumentsMissing
				s.tell(post, 4.6, parcel.CodeImportCustomsReleased, s.in)
				s.tell(post, 7.2, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, 9.3, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-SEIZED-RU-01", []int{37}, ruPost, upuPostal, "",
			"Customs refuse the parcel, and it is destroyed.", func(s *story) {
				s.posted(0, -33)
				post := s.then(russianPost, parcel.StageLastMile)
				s.tell(post, -9.2, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(post, -8.1, parcel.CodeImportCustomsPresented, s.in)
				s.tell(post, -2.4, parcel.CodeCustomsRefused, s.in).reason = parcel.ReasonProhibited
				s.tell(post, 6.2, parcel.CodeDisposed, s.in)
			}},
		{"SIM-ADDRESS-PROBLEM-US-01", []int{37}, usHouse, upsName, "",
			"The address lacks the apartment: the carrier waits for a word.", func(s *story) {
				s.shipped(0, -1.6)
				s.tell(0, -.8, parcel.CodeAddressProblem, s.j.to).reason = parcel.ReasonAddressIncorrect
				s.toDoor(0, 3.3)
			}},
		{"SIM-NOBODY-HOME-BR-01", []int{37}, brHouse, correios, "",
			"Three attempts at the door, then it waits at the agency.", func(s *story) {
				s.shipped(0, -2.3)
				for _, at := range []float64{-1.2, -.2, .8} {
					s.tell(0, at-.2, parcel.CodeOutForDelivery, s.j.to)
					s.tell(0, at, parcel.CodeDeliveryAttemptFailed, s.j.to).reason = parcel.ReasonRecipientAbsent
				}
				s.tell(0, 1.6, parcel.CodeReadyForPickup, s.j.to)
				s.tell(0, 5.1, parcel.CodeDelivered, s.j.to)
			}},
		{"SIM-STALLED-DE-01", []int{37}, dePost, upuPostal, "",
			"Arrived three weeks ago and not moved since: no carrier says why.", func(s *story) {
				s.posted(0, -45)
				s.tell(0, -21.2, parcel.CodeDestinationCountryArrived, s.in)
				s.tell(0, 14.3, parcel.CodeImportCustomsReleased, s.in)
				s.toDoor(0, 17.4)
			}},
		{"SIM-NOT-COLLECTED-RU-01", []int{37}, ruLine, cainiao, "",
			"Nobody collects the parcel: the way back begins and ends with the sender.", func(s *story) {
				s.lined(0, -38)
				post := s.then(russianPost, parcel.StageLastMile)
				s.handOn(0, post)
				s.landed(0, -24)
				s.tell(0, -23.1, parcel.CodeLastMileAccepted, &s.far.hub)
				s.tell(post, -17.2, parcel.CodeReadyForPickup, s.j.to)
				s.tell(post, -1.3, parcel.CodeReturnStarted, s.j.to).reason = parcel.ReasonNotCollected
				s.tell(post, 9.3, parcel.CodeReturned, s.j.from).deliveredTo = parcel.DeliveredToSender
			}},
		{"SIM-REFUSED-BR-01", []int{37}, brHouse, correios, "",
			"The buyer refuses the parcel at the door: it goes back to the warehouse.", func(s *story) {
				s.shipped(0, -4.1)
				s.tell(0, -3.1, parcel.CodeOutForDelivery, s.j.to)
				s.tell(0, -.9, parcel.CodeReturnStarted, s.j.to).reason = parcel.ReasonRefused
				s.tell(0, 4.2, parcel.CodeReturned, s.j.from).deliveredTo = parcel.DeliveredToSender
			}},
		{"SIM-DAMAGED-US-01", []int{37}, usHouse, upsName, "",
			"Damaged on the way and delivered all the same: the damage stays open for a person.", func(s *story) {
				s.shipped(0, -1.9)
				s.tell(0, -.5, parcel.CodeDamaged, &s.far.hub)
				s.toDoor(0, 2.1)
			}},
		{"SIM-LOST-RU-01", []int{37}, ruPost, upuPostal, "",
			"Silent for five weeks, then the post calls it lost.", func(s *story) {
				s.posted(0, -58)
				post := s.then(russianPost, parcel.StageLastMile)
				s.landed(post, -36)
				s.tell(post, 1.3, parcel.CodeLost, &s.far.hub)
			}},
		{"SIM-FOUND-AGAIN-US-01", []int{37, 22}, usHouse, upsName, "",
			"Reported lost, found again and delivered: the loss is withdrawn.", func(s *story) {
				s.shipped(0, -16)
				s.tell(0, -6.2, parcel.CodeLost, &s.far.hub)
				s.tell(0, 1.8, parcel.CodeInTransit, s.j.to)
				s.toDoor(0, 3.2)
			}},
		{"SIM-RETURNED-LATER-US-01", []int{37}, usHouse, upsName, "",
			"Delivered, and sent back by the buyer: delivered stays the outcome, the return is a journey of its own.", func(s *story) {
				s.shipped(0, -9)
				s.toDoor(0, -7.2)
				s.tell(0, -.6, parcel.CodeReturnStarted, s.j.to)
				s.tell(0, 4.4, parcel.CodeReturned, s.j.from).deliveredTo = parcel.DeliveredToSender
			}},
		{"SIM-CANCELLED-US-01", []int{37}, usHouse, upsName, "",
			"The shipper voids the label before anything moved.", func(s *story) {
				s.tell(0, -2.1, parcel.CodeInfoReceived, s.j.from)
				s.tell(0, .7, parcel.CodeCancelled, s.j.from)
			}},
		{"SIM-WEATHER-US-01", []int{37}, usHouse, upsName, "",
			"A storm holds the parcel up for three days.", func(s *story) {
				s.shipped(0, -1.5)
				s.tell(0, -.9, parcel.CodeDelayed, &s.far.hub).reason = parcel.ReasonWeather
				s.tell(0, 2.1, parcel.CodeInTransit, s.j.to)
				s.toDoor(0, 3.5)
			}},
		{"SIM-DELIVERED-NEIGHBOUR-BR-01", []int{39}, brHouse, correios, "",
			"Delivered to the neighbour: to whom is part of the proof.", func(s *story) {
				s.shipped(0, -1.3)
				s.tell(0, .2, parcel.CodeOutForDelivery, s.j.to)
				s.tell(0, .5, parcel.CodeDelivered, s.j.to).deliveredTo = parcel.DeliveredToNeighbour
			}},
		{"SIM-NO-FIRST-SCAN-AU-01", []int{37}, auLine, cainiao, "",
			"Left the warehouse six days ago, and no carrier has scanned it: between two hands, and nobody's.", func(s *story) {
				s.tell(0, -7.4, parcel.CodeInfoReceived, s.j.from)
				s.tell(0, -6.8, parcel.CodeWarehouseReceived, s.j.from)
				s.tell(0, -6.1, parcel.CodeWarehouseDispatched, s.j.from)
				s.tell(0, 2.2, parcel.CodePickedUp, s.j.from)
				s.tell(0, 3.4, parcel.CodeOriginHubArrived, &s.home.hub)
			}},
		{"SIM-TOLD-BY-TWO-POSTS-RU-01", []int{7, 16}, ruPost, upuPostal, "",
			"The network of posts and the post itself both tell of arrival, customs and delivery: each scan stands once, with two witnesses.", func(s *story) {
				s.posted(0, -9)
				post := s.then(russianPost, parcel.StageLastMile)
				for _, leg := range []int{0, post} {
					s.landed(leg, -2.2)
					s.tell(leg, 1.2, parcel.CodeReadyForPickup, s.j.to)
					s.tell(leg, 2.4, parcel.CodeDelivered, s.j.to)
				}
			}},
	}
}

// correct lets the merchant find out that a number was wrong.
func (s *story) correct(from, to leg, days float64) {
	s.fixes = append(s.fixes, Correction{
		Reference: s.j.scenario.Name, At: s.at(days),
		From: parcel.NumberKey{Carrier: from.carrier, Number: from.number}, To: parcel.NumberKey{Carrier: to.carrier, Number: to.number},
	})
}
