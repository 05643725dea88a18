"""What is stored and what may not be stored. `ALL` is what Tortoise and the migrations know."""

ALL = [
    f"models.{word}" for word in (
        "accounts",
        "appeals",
        "approvals",
        "attachments",
        "audit",
        "bindings",
        "consultants",
        "content_checks",
        "demands",
        "dialogues",
        "draw_objections",
        "filings",
        "inbound",
        "institutions",
        "jobs",
        "notices",
        "orders",
        "payment_passwords",
        "products",
        "programmes",
        "redemptions",
        "regions",
        "reservations",
        "reviews",
        "risks",
        "scores",
        "standard_products",
        "wallet",
    )
]
