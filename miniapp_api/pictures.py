"""Pictures of products and institutions, for everybody."""

from handlers import pictures
from handlers.context import Context
from handlers.refusals import StorageAway
from miniapp_api.routing import Api, Download, Who

api = Api("pictures", "公开图片")
CACHED_SECONDS = 300  # a picture that is not public any more is gone from phones after five minutes


@api.get("/pictures/{picture_id}", title="产品、机构的公开图片", who=Who.ANYONE, refusals=(StorageAway,))
async def get_picture(ctx: Context, picture_id: int) -> Download:
    """仅限已上架产品和营业中机构的图片；编号即附件编号，图片已重新编码、去除拍摄信息。"""
    picture = await pictures.open_picture(ctx, picture_id)
    return Download(picture.content, picture.media_type, picture.file_name, cached_seconds=CACHED_SECONDS)
