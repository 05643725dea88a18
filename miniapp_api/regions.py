from typing import Annotated

from pydantic import Field, StringConstraints

from handlers import regions
from handlers.context import Context
from handlers.paging import PageView
from handlers.texts import LINE, ONE_LINE
from miniapp_api.routing import Api, Body, Parameters, Query, Who

api = Api("regions", "行政区划与园区")

RegionCode = Annotated[str, StringConstraints(pattern="^[1-9][0-9]{5}$")]
OneLine = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=100, pattern=ONE_LINE), LINE]


class RegionsQuery(Parameters):
    parent: Annotated[RegionCode | None, Field(description="上级区划代码；不填则为各省")] = None


class ParksQuery(Query):
    county: Annotated[RegionCode, Field(description="区县代码")]


class ParkBody(Body):
    name: OneLine
    county_code: RegionCode


@api.get("/regions", title="下级行政区划", who=Who.ANYONE, refusals=(regions.RegionUnknown,))
async def list_regions(_ctx: Context, query: RegionsQuery) -> regions.RegionsView:
    return await regions.list_regions(query.parent)


@api.get("/regions/{code}", title="一个行政区划", who=Who.ANYONE, refusals=(regions.RegionUnknown,))
async def get_region(_ctx: Context, code: RegionCode) -> regions.RegionPathView:
    return await regions.get_region(code)


@api.get("/parks", title="区县的园区", who=Who.ANYONE)
async def list_parks(_ctx: Context, query: ParksQuery) -> PageView[regions.ParkView]:
    return await regions.list_parks(query.county, query.page())


@api.post(
    "/parks", title="新增园区", who=Who.ADMIN, status=201,
    refusals=(regions.RegionUnknown, regions.RegionTooWide, regions.ParkUnknown, regions.OutsideJurisdiction, regions.ParkExists),
)
async def create_park(ctx: Context, body: ParkBody) -> regions.ParkView:
    return await regions.create_park(ctx, body.name, body.county_code)
