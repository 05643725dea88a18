"""Whoever adds to another feature's table by being imported: what a decision does, which texts are checked, kinds of applications.

A process that has not imported one of them would not know its kind. The web imports all with its routes; the jobs, in which chats
decide approvals and texts are checked, import this.
"""

from handlers import (
    appeals,
    application_views,
    applications,
    approved_amounts,
    consultants,
    content_checks,
    demands,
    draw_disqualifications,
    draw_objections,
    enterprises,
    filings,
    institutions_admission,
    orders,
    products,
    qualifications,
    redemptions,
    reviews,
    reviews_mutual,
    reviews_replies,
    supermarkets,
)

REGISTERED = (
    appeals, application_views, applications, approved_amounts, consultants, content_checks, demands, draw_disqualifications,
    draw_objections, enterprises, filings, institutions_admission, orders, products, qualifications, redemptions, reviews,
    reviews_mutual, reviews_replies, supermarkets,
)
