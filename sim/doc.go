// Package sim is a simulated carrier network: parcels that move from China to
// eight countries by the carriers that really carry them, and those carriers'
// own services on loopback, in their own wire formats, with their own faults.
//
// Everything follows from a seed. A [Network] runs on trade time: what a
// carrier has said so far depends on the clock alone, so that an accelerated
// clock gives an accelerated trade. [Scenarios] are the troubles of the trade,
// each under a public test number; [Truths] are the distributions from which
// ordinary journeys are drawn, for whoever wants to test an estimator; [Bulk]
// makes any number of shipments with their history, without HTTP.
package sim
