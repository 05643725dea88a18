"""Upload, download and removal of files."""

from typing import Annotated

from pydantic import Field

from handlers import attachments
from handlers.attachments import FileBroken, FileEmpty, FileInUse, FileSlotUnknown, FileTooLarge, FileTypeRefused, TooManyFiles
from handlers.context import Context
from handlers.file_types import DOCUMENT_BYTES, MEGABYTE
from handlers.refusals import StorageAway
from miniapp_api.routing import Api, Download, Parameters, Upload, Who

api = Api("attachments", "附件")


class UploadQuery(Parameters):
    slot: Annotated[str, Field(max_length=48, description="附件项，见各申请表的 slots")]


@api.post(
    "/attachments", title="上传附件", who=Who.MEMBER_OR_CONSULTANT, limit="upload", status=201, body_max_bytes=DOCUMENT_BYTES + MEGABYTE,
    refusals=(FileSlotUnknown, FileTypeRefused, FileTooLarge, FileEmpty, FileBroken, TooManyFiles, StorageAway),
)
async def upload_attachment(ctx: Context, query: UploadQuery, upload: Upload) -> attachments.AttachmentView:
    """文件内容须与扩展名一致；上传后在申请表的 files 中按附件项填写其 id。"""
    return await attachments.upload(ctx, query.slot, upload.file_name, upload.chunks)


@api.get("/attachments/{attachment_id}", title="下载附件", who=Who.SIGNED_IN, refusals=(StorageAway,))
async def download_attachment(ctx: Context, attachment_id: int) -> Download:
    """本单位成员、订单对方，以及审核使用该附件的申请的工作人员可以下载。"""
    stored = await attachments.open_file(ctx, attachment_id)
    return Download(stored.chunks, stored.media_type, stored.name, stored.size)


@api.delete("/attachments/{attachment_id}", title="删除未使用的附件", who=Who.MEMBER, refusals=(FileInUse,))
async def delete_attachment(ctx: Context, attachment_id: int) -> attachments.AttachmentView:
    return await attachments.delete(ctx, attachment_id)
