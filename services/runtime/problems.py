"""Turns refusals into problem details (RFC 9457): one table of codes, statuses and Chinese titles."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.responses import Response

from services.runtime.outcomes import Problem, Refusal

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
"""What a client is told to wait when the store could not take its command."""
REFUSALS_KEY: Final = "x-refusals"
"""The member of a route's OpenAPI operation that names the codes its handler may refuse with."""

RUNTIME_PROBLEMS: Final[tuple[Problem, ...]] = (
    Problem("malformed_json", 400, "请求内容不是有效的 JSON"),
    Problem("idempotency_key_missing", 400, "缺少幂等键（Idempotency-Key）"),
    Problem("idempotency_key_invalid", 400, "幂等键（Idempotency-Key）格式有误"),
    Problem("cursor_invalid", 400, "分页游标无效"),
    Problem("unauthenticated", 401, "请先登录"),
    Problem("token_invalid", 401, "登录凭证无效"),
    Problem("ticket_invalid", 401, "登录票据无效或已使用，请重新获取"),
    Problem("token_expired", 401, "登录已过期，请重新登录"),
    Problem("scope_missing", 403, "没有进行此操作的权限"),
    Problem("outside_area", 403, "超出所辖区域"),
    Problem("second_person_required", 403, "须由另一人审核，本人不能审核自己的申请"),
    Problem("not_found", 404, "没有找到所请求的内容"),
    Problem("nothing_parked", 404, "没有此搁置队列"),
    Problem("record_not_parked", 404, "队列中没有这条记录"),
    Problem("request_unknown", 404, "没有此操作请求"),
    Problem("method_not_allowed", 405, "不支持的请求方法"),
    Problem("record_waits_only", 409, "这条记录本身没有发现问题，只是在等待前面的记录"),
    Problem("not_redrivable", 409, "这类记录不能修复或重试，请重新提出请求"),
    Problem("request_decided", 409, "此操作请求已有结果"),
    Problem("etag_mismatch", 412, "内容已被他人修改，请刷新后重试"),
    Problem("body_too_large", 413, "请求内容过大"),
    Problem("unsupported_media_type", 415, "不支持的内容类型"),
    Problem("invalid_body", 422, "请求内容有误"),
    Problem("invalid_parameter", 422, "请求参数有误"),
    Problem("correction_invalid", 422, "更正后的事件无效"),
    Problem("idempotency_key_reused", 422, "幂等键已用于另一个请求"),
    Problem("if_match_missing", 428, "缺少版本标识（If-Match）"),
    Problem("too_many_requests", 429, "请求过于频繁，请稍后再试"),
    Problem("internal_error", 500, "服务器内部错误"),
    Problem("bad_gateway", 502, "后端服务没有应答"),
    Problem("not_ready", 503, "服务尚未就绪"),
    Problem("try_again", 503, "系统繁忙，请稍后重试"),
    Problem("gateway_timeout", 504, "后端服务应答超时"),
)
"""What any service may answer besides its own refusals."""
SHEET_PROBLEMS: Final[tuple[Problem, ...]] = (
    Problem("sheet_not_utf8", 422, "文件不是 UTF-8 编码，请另存为 UTF-8 格式的 CSV"),
    Problem("sheet_malformed", 422, "文件不是有效的 CSV 表格"),
    Problem("sheet_columns_wrong", 422, "表头的列名缺失、多余或重复"),
    Problem("sheet_too_long", 422, "表格超过五千行，请分成几个文件"),
    Problem("cell_empty", 422, "此项必填"),
    Problem("cell_not_a_choice", 422, "不在可选范围内"),
)
"""What a service that takes lists says of a file or a cell; what a cell of some kind must be is its own to say."""


class RefusedError(Exception):
    """Ends a request with a refusal where there is no outcome to return, as in a read of what does not exist."""

    def __init__(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(refusal.code)
        self.refusal, self.headers = refusal, headers


def refused(code: str, detail: str | None = None, **extra: Any) -> RefusedError:
    """What a read raises when there is nothing to answer with; ``extra`` members go into the problem document."""
    return RefusedError(Refusal(code, detail, extra))


def too_many_requests(wait_s: int) -> RefusedError:
    """What ends a request that is one too many; the caller is told when the next would be taken."""
    assert wait_s > 0
    return RefusedError(Refusal("too_many_requests"), {"Retry-After": str(wait_s)})


def refusals(*codes: str) -> dict[str, Any]:
    """A route's ``openapi_extra`` that declares the codes its handler may refuse with, beyond the runtime's own."""
    return {REFUSALS_KEY: sorted(codes)}


class ProblemTable:
    """Maps codes to HTTP; made once per app from the runtime's problems and the service's."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._by_code: dict[str, Problem] = {}
        for problem in (*RUNTIME_PROBLEMS, *problems):
            known = self._by_code.setdefault(problem.code, problem)
            assert known == problem, f"problem {problem.code} is declared twice, differently"
            assert 400 <= problem.status <= 599, problem.code  # noqa: PLR2004 - HTTP's own numbers

    def __getitem__(self, code: str) -> Problem:
        return self._by_code[code]

    def __contains__(self, code: str) -> bool:
        return code in self._by_code

    def codes(self) -> Sequence[str]:
        """All codes of the table, in the order of their declaration."""
        return tuple(self._by_code)

    def body(self, refusal: Refusal) -> bytes:
        """The problem document as JSON; ``extra`` members stand beside RFC 9457's own."""
        problem = self._by_code[refusal.code]
        document: dict[str, Any] = {
            "type": f"/problems/{problem.code}",
            "title": problem.title,
            "status": problem.status,
            "code": problem.code,
        }
        if refusal.detail is not None:
            document["detail"] = refusal.detail
        assert not document.keys() & refusal.extra.keys(), refusal.code
        document.update(refusal.extra)
        return msgspec.json.encode(document)

    def response(self, refusal: Refusal, headers: Mapping[str, str] | None = None) -> Response:
        """The HTTP answer of a refusal."""
        problem = self._by_code[refusal.code]
        return Response(
            self.body(refusal), problem.status, headers=headers_of(problem, headers), media_type=PROBLEM_MEDIA_TYPE
        )


def headers_of(problem: Problem, headers: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers that a problem's status asks for (RFC 9110), besides the given ones."""
    all_headers = dict(headers or {})
    if problem.status == HTTPStatus.UNAUTHORIZED:
        error = "" if problem.code == "unauthenticated" else ' error="invalid_token"'
        all_headers["WWW-Authenticate"] = f"Bearer{error}"
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        all_headers["Retry-After"] = str(RETRY_AFTER_S)
    return all_headers
