"""The arithmetic: arrays in, estimates with intervals out. No file, no clock, no global random state.

votes        votes in columns, and cells of identical requests      estimate     a statistic and its interval by whole prompts
clusters     sums by prompt                                          intervals    by formula
bootstrap    by resampling                                           planning     how many pairs and calls an answer takes

rates, flips, flipfit, position, preferences     what a judge does
agreement, condorcet, decisive, consistency      what the judges do together
components                                       where the variance comes from
latent, calibration, posterior                   what is behind the votes, and how sure they make us
drift                                            whether a judge changed
corrected                                        a mean over everything, from people's word on a sample
correlation                                      ranks
"""
